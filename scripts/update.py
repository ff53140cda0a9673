"""Updates a rendered project to this release of the template.

The project's task ``update`` clones the release, and runs this module in the clone. The project's branch ``template``
has a commit for each rendered release. git merges the branch, so conflicts are resolved as in any merge. The project's
branches and files change only after the renderings have succeeded.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.new import ASKED, QUESTIONS, ROOT, AnswersError, answer

RECORD = ".template.json"
BRANCH = "template"
VERSION = QUESTIONS["_template_version"]


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
            said = (finished.stderr or finished.stdout).strip().splitlines()
            raise UpdateError(f"`git {arguments[0]}` failed: {said[-1] if said else finished.returncode}")
        return finished.stdout.rstrip("\n")

    def succeeds(self, *arguments: str) -> bool:
        """Whether a git command succeeds."""
        return self._git(*arguments).returncode == 0

    def _git(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            check=False,
            capture_output=True,
            encoding="utf-8",
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
        if self.run("status", "--porcelain"):
            raise UpdateError("there are uncommitted changes; commit or stash them first")

    def commit_rendering(self, rendered: Path, version: str, *parents: str) -> str:
        """Commit a rendered project to no branch. Return the commit or, if nothing has changed, the first parent."""
        git_folder = self.run("rev-parse", "--absolute-git-dir")
        with tempfile.TemporaryDirectory() as folder:
            index = str(Path(folder) / "index")
            self.run(f"--git-dir={git_folder}", f"--work-tree={rendered}", "add", "-Af", ".", GIT_INDEX_FILE=index)
            tree = self.run("write-tree", GIT_INDEX_FILE=index)
        if parents and self.run("rev-parse", f"{parents[0]}^{{tree}}") == tree:
            return parents[0]
        options = [option for parent in parents for option in ("-p", parent)]
        return self.run("commit-tree", tree, *options, "-m", f"Template {version}")

    def relate_template(self) -> None:
        """Make the first rendering an ancestor of HEAD without changing files, so that git has a merge base."""
        if not self.succeeds("merge-base", "HEAD", BRANCH):
            first = self.run("rev-list", "--max-parents=0", BRANCH)
            options = ("--strategy=ours", "--allow-unrelated-histories", "-m", "Record the template's first rendering")
            self.run("merge", "--quiet", *options, first)

    def merge_template(self, template: str, owned: set[str]) -> list[str]:
        """Merge the branch ``template``, and return the files with conflicts.

        Args:
            template: URL of the template, to keep in the project's ``.template.json``.
            owned: Paths that the project's ``.template.json`` lists as owned by the template.
        """
        before = json.loads(self.run("show", f"{self.run('merge-base', 'HEAD', BRANCH)}:{RECORD}"))
        record = json.loads(self.run("show", f"{BRANCH}:{RECORD}"))
        # On conflicts, which are listed below, git exits with 1.
        self._git("merge", "--quiet", "--no-commit", "--no-ff", BRANCH)
        record["template"] = template
        record["owned"] = {
            path: digest for path, digest in record["owned"].items() if path in owned or path not in before["owned"]
        }
        self.run("checkout", "--quiet", "--no-overlay", BRANCH, "--", *record["owned"])
        (self.folder / RECORD).write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        self.run("add", "--", RECORD)
        conflicts = self.run("diff", "--name-only", "--diff-filter=U").splitlines()
        if not conflicts:
            self.run("commit", "--quiet", "-m", f"Update the template to {VERSION}")
        return conflicts


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
    except (UpdateError, AnswersError) as error:
        sys.exit(f"update: {error}")
    except (EOFError, KeyboardInterrupt):
        sys.exit("\nupdate: interrupted; `git status` shows whether a merge is in progress")
    if conflicts is None:
        print(f"update: nothing to merge from {VERSION}")
    elif conflicts:
        listed = "".join(f"\n    {file}" for file in conflicts)
        sys.exit(
            f"update: {VERSION} is merged, but not committed. These files have conflicts:\n{listed}\n\nResolve them, "
            "`git add` them, and `git commit`; or `git merge --abort`."
        )
    else:
        print(f"update: merged {VERSION}. Install the dependencies again, and run `check`.")


def update(project: Path) -> list[str] | None:
    """Merge this release into a project, and return the files with conflicts, or ``None`` if there is nothing to merge.

    Raises:
        UpdateError: If the project cannot be updated.
        AnswersError: If this release refuses one of the project's answers.
    """
    repository = Repository(project)
    repository.require_clean()
    record = json.loads((project / RECORD).read_text(encoding="utf-8"))
    print(*changes_since(record["rendered"]), sep="\n")
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder)
        given = {question: text for question, text in record["answers"].items() if question in ASKED}
        rendered = render(ROOT, answer_new_questions(temporary, given), temporary / "new")
        if repository.succeeds("rev-parse", "--verify", f"refs/heads/{BRANCH}"):
            parent = repository.run("rev-parse", f"refs/heads/{BRANCH}")
        else:
            old = render(checked_out(record, temporary / "release"), record["answers"], temporary / "old")
            parent = repository.commit_rendering(old, record["rendered"])
        commit = repository.commit_rendering(rendered, VERSION, parent)
    repository.run("update-ref", f"refs/heads/{BRANCH}", commit)
    repository.relate_template()
    if repository.succeeds("merge-base", "--is-ancestor", BRANCH, "HEAD"):
        return None
    return repository.merge_template(record["template"], {*record["owned"]})


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
