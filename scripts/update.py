"""Updates a rendered project to this release of the template.

The project's task ``update`` clones the release, and runs this module in the clone. The project's branch ``template``
has a commit for each rendered release. git merges the branch, so conflicts are resolved as in any merge. The project's
branches and files change only after the renderings have succeeded.
"""

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from cookiecutter.exceptions import CookiecutterException

from hooks.post_gen_project import FIRST_COMMANDS, say
from scripts.new import ASKED, QUESTIONS, ROOT, AnswersError, answer

RECORD = ".template.json"
BRANCH = "template"
VERSION = QUESTIONS["_template_version"]
# The files in which the task `generate` writes blocks, and the pattern of a block: as in `tools/generate.py`.
GENERATED_FILE = re.compile(r"Pulumi\.yaml|README\.md|docs/[^/]+\.md")
GENERATED = re.compile(
    r"^ *(?:<!--|#) (?P<name>[a-z-]+): begin\b.*\n(?:.*\n)*? *(?:<!--|#) (?P=name): end\b", re.MULTILINE
)
# A conflict in git's styles merge, diff3 and zdiff3: https://git-scm.com/docs/git-merge#_how_conflicts_are_presented
CONFLICT = re.compile(
    r"^<{7} .*\n(?P<ours>(?:.*\n)*?)(?:\|{7}.*\n(?:.*\n)*?)?={7}\r?\n(?P<theirs>(?:.*\n)*?)>{7} .*\n", re.MULTILINE
)
# Make git's output independent of the user's configuration.
GIT_OPTIONS = ("-c", "core.quotePath=off", "-c", "i18n.logOutputEncoding=UTF-8", "-c", "log.showSignature=false")
# Refs that exist while a command is not finished: https://git-scm.com/docs/gitrevisions
UNFINISHED = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD")


class UpdateError(Exception):
    """The project cannot be updated; the message says why."""


@dataclass(frozen=True)
class Repository:
    """A git repository.

    Attributes:
        folder: Root of the working tree.
    """

    folder: Path

    def run(self, *arguments: str, **variables: str) -> str:
        """Run git, and return its output without the trailing newline.

        Raises:
            UpdateError: If git fails.
        """
        finished = self._git(*arguments, **variables)
        if finished.returncode:
            raise UpdateError(f"`git {arguments[0]}` failed: {reason(finished)}")
        return finished.stdout.rstrip("\n")

    def names(self, *arguments: str) -> set[str]:
        """Run git, and return the file names that it prints, one on each line."""
        return set(self.run(*arguments).splitlines())

    def succeeds(self, *arguments: str) -> bool:
        """Whether a git command succeeds."""
        return self._git(*arguments).returncode == 0

    def _git(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", *GIT_OPTIONS, *arguments],
            cwd=self.folder,
            check=False,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            env=os.environ | variables,
        )

    def require_clean(self) -> None:
        """Require that the folder is the root of a repository with a commit and without uncommitted changes.

        Raises:
            UpdateError: If a condition is not met.
        """
        if not self.succeeds("rev-parse", "--verify", "HEAD"):
            raise UpdateError("the project is not in a git repository with a commit; commit it first")
        if self.run("rev-parse", "--show-prefix"):
            raise UpdateError("the project must be the root of its git repository")
        if any(self.succeeds("rev-parse", "--verify", "--quiet", head) for head in UNFINISHED):
            raise UpdateError("a merge, cherry-pick, revert or rebase is not finished; finish or abort it first")
        if self.run("status", "--porcelain", "--untracked-files=normal"):
            raise UpdateError("there are uncommitted changes; commit or stash them first")

    def commit_rendering(self, rendered: Path, version: str, parent: str = "") -> str:
        """Commit a rendered project to no branch. Return the commit or, if nothing has changed, its parent."""
        git_folder = self.run("rev-parse", "--absolute-git-dir")
        with tempfile.TemporaryDirectory() as folder:
            index = str(Path(folder) / "index")
            self.run(f"--git-dir={git_folder}", f"--work-tree={rendered}", "add", "-Af", ".", GIT_INDEX_FILE=index)
            tree = self.run("write-tree", GIT_INDEX_FILE=index)
        if parent and self.run("rev-parse", f"{parent}^{{tree}}") == tree:
            return parent
        options = ("-p", parent) if parent else ()
        # The message names the tree, because a rebase keeps the message, but not the tree.
        return self.run("commit-tree", tree, *options, "-m", f"Template {version}\n\nTree: {tree}")

    def last_rendering(self, version: str) -> str:
        """Return the newest rendering of a version in HEAD's history; empty if there is none, as after a squash."""
        log = self.run("log", "--topo-order", "--format=%H %T %B%x00").split("\0")
        commits = (entry.strip().split(" ", 2) for entry in log if entry.strip())
        return next((commit for commit, tree, message in commits if is_rendering(message, tree, version)), "")

    def first_record(self, version: str) -> dict[str, Any]:
        """Return the oldest ``.template.json`` of a rendered version: the answers may have been edited since.

        Raises:
            UpdateError: If no commit has one, for example because git ignores the file.
        """
        commits = self.run("log", "--topo-order", "--reverse", "--format=%H", "--", RECORD).splitlines()
        for commit in commits:
            # A commit may have deleted or damaged the file.
            with contextlib.suppress(UpdateError, ValueError, LookupError, TypeError):
                record = json.loads(self.run("show", f"{commit}:{RECORD}"))
                if record["rendered"] == version:
                    return record
        raise UpdateError(f"no commit has the {RECORD} of {version}; commit it, or fetch the whole history")

    def point_branch(self, commit: str) -> None:
        """Point the branch ``template`` to a rendering.

        Raises:
            UpdateError: If the branch has other commits, or is checked out.
        """
        branch = f"refs/heads/{BRANCH}"
        if self.succeeds("rev-parse", "--verify", "--quiet", branch):
            tree, _, message = self.run("log", "-1", "--format=%T %B", branch, "--").partition(" ")
            if not is_rendering(message, tree):
                raise UpdateError(f"the branch `{BRANCH}` has other commits than renderings; rename it")
        self.run("branch", "--quiet", "--force", BRANCH, commit)

    def _relate(self, base: str) -> None:
        """Make a rendering an ancestor of HEAD, so that git has a merge base. No file changes, and no hook runs."""
        if not self.succeeds("merge-base", "--is-ancestor", base, "HEAD"):
            message = "Record the template's rendering"
            head = self.run("commit-tree", "HEAD^{tree}", "-p", "HEAD", "-p", base, "-m", message)
            self.run("update-ref", "-m", message, "HEAD", head)

    def require_free(self, paths: Iterable[str]) -> None:
        """Require that no untracked file is at a path, or where a folder of a path must be.

        git would overwrite the untracked files that it ignores.

        Raises:
            UpdateError: If there is such a file.
        """
        folders = {folder.as_posix() for path in paths for folder in PurePosixPath(path).parents[:-1]}
        not_folders = {
            name for name in folders if (self.folder / name).is_symlink() or not (self.folder / name).is_dir()
        }
        untracked = sorted(self.names("ls-files", "--others", "--", *paths, *not_folders))
        if untracked:
            listed = ", ".join(untracked)
            raise UpdateError(f"{VERSION} would overwrite files that are not in git: {listed}; move them away first")

    def _begin_merge(self) -> None:
        # git must not move new files after a folder that the team has renamed, where ignored files may be in the way.
        options = ("-c", "merge.directoryRenames=false")
        merged = self._git(*options, "merge", "--quiet", "--no-commit", "--no-ff", f"refs/heads/{BRANCH}")
        # With conflicts, too, git exits with 1.
        if not self.succeeds("rev-parse", "--verify", "--quiet", "MERGE_HEAD"):
            raise UpdateError(f"`git merge` failed: {reason(merged)}")

    def _restore(self, head: str, touched: set[str]) -> None:
        """Undo a merge that has failed, also if git has no record of it.

        Args:
            head: The commit that HEAD was.
            touched: The files that the merge may have changed. They had no uncommitted changes.
        """
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            if not self.succeeds("merge", "--abort"):
                self.run("reset", "--quiet")
                self.run("checkout", "--quiet", "--", *touched & self.names("ls-files"))
            self.run("clean", "--quiet", "--force", "-x", "--", *touched)
            self.run("reset", "--quiet", "--soft", head)
            self.require_clean()
        except UpdateError as error:
            say([f"The project is not restored: {error}. `git reset --hard {head}` restores it."])
        finally:
            signal.signal(signal.SIGINT, handler)

    def _conflicts(self) -> list[str]:
        return self.run("diff", "--name-only", "--diff-filter=U").splitlines()

    def _resolve_generated(self) -> None:
        """Resolve conflicts in generated blocks."""
        for name in filter(GENERATED_FILE.fullmatch, self._conflicts()):
            path = self.folder / name
            text = path.read_bytes().decode("utf-8", "surrogateescape") if path.is_file() else ""
            resolved = resolve_generated(text)
            if resolved != text:
                path.write_bytes(resolved.encode("utf-8", "surrogateescape"))
                if not CONFLICT.search(resolved):
                    self.run("add", "--", name)

    def _record_after(self, base: str, commit: str, project: dict[str, Any], changed: Container[str]) -> dict[str, Any]:
        """Return a rendering's ``.template.json`` with the project's address, without files that stay the team's."""
        before = json.loads(self.run("show", f"{base}:{RECORD}"))["owned"]
        record = json.loads(self.run("show", f"{commit}:{RECORD}"))
        renames = self.run("diff", "--name-status", "--find-renames", "--diff-filter=R", base, commit).splitlines()
        origins = {new: old for _, old, new in (line.split("\t") for line in renames)}
        record["template"] = project["template"]
        record["owned"] = {
            path: digest
            for path, digest in record["owned"].items()
            if is_owned(path, origins.get(path, path), before, project["owned"], changed)
        }
        return record

    def merge_template(self, base: str, commit: str, project: dict[str, Any]) -> list[str]:
        """Merge a rendering, and return the files with conflicts.

        Args:
            base: The rendering that the project has.
            commit: The rendering to merge.
            project: The project's ``.template.json``.

        Raises:
            UpdateError: If git cannot merge, and the working tree is unchanged; or if git refuses the commit.
        """
        head = self.run("rev-parse", "HEAD")
        changed = self.names("diff", "--name-only", "--no-renames", base, "HEAD")
        record = self._record_after(base, commit, project, changed)
        owned = record["owned"].keys()
        released = self.names("ls-tree", "-r", "--name-only", commit)
        deleted = changed & (project["owned"].keys() - released)
        touched = self.names("diff", "--name-only", "--no-renames", base, commit) | owned
        self.require_free(touched & released)
        # The team may have changed files during the renderings and the questions.
        self.require_clean()
        self.point_branch(commit)
        self._relate(base)
        try:
            self._begin_merge()
            # git merges the team's changes into template-owned files, too, even under new names: take the release's.
            if owned:
                self.run("checkout", "--quiet", commit, "--", *owned)
            if deleted:
                self.run("rm", "--quiet", "--force", "--ignore-unmatch", "--", *deleted)
            text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
            (self.folder / RECORD).write_text(text, encoding="utf-8", newline="\n")
            self.run("add", "--", RECORD)
            self._resolve_generated()
        except BaseException:
            self._restore(head, touched | deleted)
            raise
        if replaced := sorted(changed & (owned | deleted)):
            say(["The template's versions replace your changes in:\n", *(f"    {path}" for path in replaced), ""])
        if conflicts := self._conflicts():
            return conflicts
        committed = self._git("commit", "--quiet", "-m", f"Update the template to {VERSION}")
        if committed.returncode:
            raise UpdateError(
                f"{VERSION} is merged, but a hook or git refused the commit:\n{committed.stderr.strip()}\n\n"
                "Correct that, and `git commit`; or `git merge --abort`."
            )
        return []


def is_owned(path: str, origin: str, before: Container[str], now: Container[str], changed: Container[str]) -> bool:
    """Whether a file that the release owns belongs to the template in this project, too.

    A file that the team took over stays the team's. So does a file that becomes the template's, if the team has changed
    or added it.

    Args:
        path: The file.
        origin: The file's name in the last rendering.
        before: The files that the last rendering owned.
        now: The files that the template owns in the project.
        changed: The files that the team has changed.
    """
    return origin in now or not (origin in before or origin in changed or path in changed)


def is_rendering(message: str, tree: str, version: str = "") -> bool:
    """Whether a commit, given its message and its tree, is an unchanged rendering of a version; by default of any."""
    return re.fullmatch(rf"Template {re.escape(version) or '.+'}\n\nTree: {tree}\n*", message) is not None


def resolve_generated(text: str) -> str:
    """Keep the team's lines in conflicts inside generated blocks: the task `generate` writes these blocks again."""
    return GENERATED.sub(lambda block: CONFLICT.sub(r"\g<ours>", block[0]), text)


def reason(finished: subprocess.CompletedProcess[str]) -> str:
    """Return the line with which git says why it failed."""
    said = [line for line in (finished.stderr or finished.stdout).splitlines() if line.strip()]
    return next((line for line in said if line.startswith(("fatal: ", "error: "))), said[-1] if said else "no reason")


def main() -> None:
    """Update the project in the folder that is given as the argument.

    Raises:
        SystemExit: If the update fails or leaves conflicts (status 1).
    """
    parser = argparse.ArgumentParser(description="Update a rendered project to this release of the template.")
    parser.add_argument("project", type=Path, help="folder of the project")
    project = parser.parse_args().project
    try:
        conflicts = update(project)
    except (UpdateError, AnswersError, CookiecutterException, OSError, ValueError) as error:
        sys.exit(f"update: {error}")
    except (EOFError, KeyboardInterrupt):
        sys.exit("\nupdate: interrupted; `git status` shows whether a merge is in progress")
    if conflicts is None:
        print(f"update: nothing to merge from {VERSION}")
    elif conflicts:
        listed = "".join(f"\n    {file}" for file in conflicts)
        sys.exit(
            f"update: {VERSION} is merged, but not committed. These files have conflicts:\n{listed}\n\nResolve them, "
            f"and `git add` them. Then run:\n{next_commands(project)}\n\nThen `git add` what these commands change, "
            "and `git commit`. To undo the update: `git merge --abort`."
        )
    else:
        print(
            f"update: merged {VERSION}. Run, and commit what changes:\n{next_commands(project)}\n\n"
            "Push the merge as it is: a rebase (`git pull --rebase`) restores files that the team has deleted."
        )


def next_commands(project: Path) -> str:
    """Return a line for each command to run after a merge."""
    answers = json.loads((project / RECORD).read_text(encoding="utf-8"))["answers"]
    install, check = FIRST_COMMANDS[answers["package_manager"]]
    return "".join(f"\n    {command}" for command in (install, check.replace("check", "generate"), check))


def update(project: Path) -> list[str] | None:
    """Merge this release into a project, and return the files with conflicts, or ``None`` if there is nothing to merge.

    Raises:
        UpdateError: If the project cannot be updated.
        AnswersError: If this release refuses one of the project's answers.
    """
    repository = Repository(project)
    repository.require_clean()
    record = json.loads((project / RECORD).read_text(encoding="utf-8"))
    if parse(VERSION) < parse(record["rendered"]):
        raise UpdateError(f"{VERSION} is older than {record['rendered']}, which this project was rendered with")
    say(changes_since(record["rendered"]))
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder)
        base = repository.last_rendering(record["rendered"])
        given = {question: text for question, text in record["answers"].items() if is_usable(question, text)}
        rendered = render(ROOT, answer_new_questions(temporary, given), temporary / "new")
        if not base:
            first = repository.first_record(record["rendered"])
            old = render(checked_out(first, temporary / "release"), first["answers"], temporary / "old")
            base = repository.commit_rendering(old, record["rendered"])
        commit = repository.commit_rendering(rendered, VERSION, base)
    if commit == base or repository.succeeds("merge-base", "--is-ancestor", commit, "HEAD"):
        return None
    return repository.merge_template(base, commit, record)


def is_usable(question: str, text: object) -> bool:
    """Whether this release still has the question and, if it is a choice, the answer."""
    choices = QUESTIONS.get(question)
    return question in ASKED and isinstance(text, str) and (not isinstance(choices, list) or text in choices)


def changes_since(version: str) -> Iterator[str]:
    """Yield the changelog's entries after a version, up to this release."""
    for entry in re.split(r"^(?=## )", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE):
        heading = re.match(r"## (\d+\.\d+\.\d+)", entry)
        if heading and parse(version) < parse(heading[1]) <= parse(VERSION):
            yield entry.rstrip() + "\n"


def parse(version: str) -> tuple[int, ...]:
    """Parse a version into a tuple of numbers, so that 1.10.0 is newer than 1.9.0."""
    return tuple(map(int, version.split(".")))


def answer_new_questions(output: Path, given: dict[str, str]) -> dict[str, str]:
    """Complete the project's answers: ask the new questions or, without a terminal, use their defaults."""
    unanswered = [question for question in ASKED if question not in given]
    ask = unanswered if sys.stdin.isatty() else []
    answers = answer(output, None, given, ask=ask)
    if unanswered and not ask:
        print("Standard input is not a terminal. Using the defaults of the new questions:\n")
        print(*(f"    {question}: {answers[question]}" for question in unanswered), "", sep="\n")
    return {question: answers[question] for question in ASKED}


def checked_out(record: dict[str, Any], folder: Path) -> Path:
    """Check out the version of the template that rendered a project: the recorded commit, or else the release's tag.

    Raises:
        UpdateError: If the template's repository has neither the commit nor the tag.
    """
    template = Repository(ROOT)
    for name in filter(None, (record["commit"], f"v{record['rendered']}")):
        if template.succeeds("worktree", "add", "--quiet", "--detach", str(folder), name):
            return folder
    raise UpdateError(f"{record['template']} has no tag v{record['rendered']}, which this project was rendered with")


def render(template: Path, answers: dict[str, str], output: Path) -> Path:
    """Render a version of the template with its own `scripts.new`, and return the project's folder.

    Raises:
        UpdateError: If the rendering fails.
    """
    output.mkdir()
    file = output / "answers.yaml"
    file.write_text(json.dumps({"default_context": answers}), encoding="utf-8")
    command = [sys.executable, "-m", "scripts.new", "--answers", str(file), "--output", str(output)]
    finished = subprocess.run(
        command,
        cwd=template,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    if finished.returncode:
        raise UpdateError(f"the template cannot be rendered:\n{finished.stdout.rstrip()}")
    return output / answers["project_slug"]


if __name__ == "__main__":
    main()
