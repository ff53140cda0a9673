"""Removes and renames files according to the answers, writes ``.template.json``, and prints the next steps.

Cookiecutter renders this hook and runs it in the new folder. The answers are rendered as one JSON literal, as in
``pre_gen_project.py``.
"""

import json
import os
import re
import shlex
import shutil
import sys

# Cookiecutter copies Python files without rendering their names, so no conditional name can exclude them.
ONLY_IF_CI_DEPLOYS = ("bootstrap", os.path.join("tests", "unit", "bootstrap"))  # noqa: PTH118 # pathlib starts slowly
# By question and answer: Python files for this answer only, and their final names.
ONLY_WITH = {
    ("ci", "gitlab"): {
        "bootstrap/trust_gitlab.py": "bootstrap/trust.py",
        "tests/unit/bootstrap/test_trust_gitlab.py": "tests/unit/bootstrap/test_trust.py",
    },
    ("state_backend", "s3"): {
        "bootstrap/main_s3.py": "bootstrap/__main__.py",
        "bootstrap/state.py": "bootstrap/state.py",
        "tests/unit/bootstrap/test_state.py": "tests/unit/bootstrap/test_state.py",
    },
}
# Folders to remove if left empty. In an overwritten project, other empty folders may be git's.
ONLY_IF_NOT_EMPTY = (".github", ".gitlab")

# Files and folders that the template owns: updates replace them. Updates merge all others, which the team owns.
OWNED = (
    ".editorconfig",
    ".gitattributes",
    ".github/actions",
    ".github/workflows/check.yml",
    ".github/workflows/deploy-stack.yml",
    ".gitlab",
    ".pre-commit-config.yaml",
    "renovate.json",
    "tools",
)
# https://cookiecutter.readthedocs.io/en/stable/advanced/user_config.html
ABBREVIATIONS = {"gh:": "https://github.com/", "gl:": "https://gitlab.com/", "bb:": "https://bitbucket.org/"}

FIRST_COMMANDS = {"uv": ("uv sync", "uv run poe check"), "pipenv": ("pipenv install --dev", "pipenv run check")}
# Programs that the project needs on the PATH: their purpose, and the installation page.
MANAGERS = {
    "uv": ("which runs every task", "https://docs.astral.sh/uv/getting-started/installation/"),
    "pipenv": ("which runs every task", "https://pipenv.pypa.io/en/latest/installation.html"),
}
TOOLS = {
    "git": ("for the project's history and pre-commit", "https://git-scm.com/downloads"),
    "pulumi": ("to deploy, also to the local stack", "https://www.pulumi.com/docs/install/"),
}
PYTHON_PAGE = "https://www.python.org/downloads/"
NEWEST_MINOR = 20


def ci_deploys(answers):
    """Whether CI deploys the project. CI runners cannot access state in local files."""
    return answers["ci"] != "none" and answers["state_backend"] != "local-file"


def has_python(oldest):
    """Whether this interpreter, or a Python on the PATH, is at least version `oldest`, for example ``3.11``."""
    import subprocess  # noqa: PLC0415 # slow to import, and needed only for pipenv

    needed = tuple(map(int, oldest.split(".")))
    if sys.version_info[:2] >= needed:
        return True
    newer = (f"python3.{minor}" for minor in range(needed[1], NEWEST_MINOR + 1))
    found = filter(None, map(shutil.which, ("python3", "python", "py", *newer)))
    # A program on the PATH may be a shim of pyenv or the Microsoft Store without a Python behind it.
    program = f"import sys; sys.exit(sys.version_info < {needed})"
    return any(not subprocess.run([path, "-c", program], capture_output=True, check=False).returncode for path in found)


def missing(answers):
    """Yield a line for each required tool that this machine lacks: its purpose, and the installation page."""
    manager = answers["package_manager"]
    for tool, (purpose, page) in {manager: MANAGERS[manager], **TOOLS}.items():
        if not shutil.which(tool):
            yield f"{tool}, {purpose}: {page}"
    oldest = answers["python_version"]
    # uv downloads a missing Python.
    if manager == "pipenv" and not has_python(oldest):
        yield f"Python {oldest} or newer, which you chose for the project: {PYTHON_PAGE}"


def closing_words(answers, project):
    """Yield lines with the project's folder, the tools that this machine lacks, and the first commands."""
    # cmd.exe and PowerShell do not understand POSIX quoting. A path on Windows cannot contain a quotation mark.
    folder = f'"{project}"' if os.name == "nt" else shlex.quote(project)
    yield f"\nYour project is in {project}."
    lacking = list(missing(answers))
    if lacking:
        yield from ("\nNot on the PATH of this machine yet:\n", *(f"    {line}" for line in lacking))
    duration = " The installation takes a few minutes:" if answers["package_manager"] == "pipenv" else ""
    yield f"\nNext:{duration}\n"
    yield from (f"    {command}" for command in (f"cd {folder}", *FIRST_COMMANDS[answers["package_manager"]]))
    yield ""


def address(template):
    """Return a template's address as an HTTPS URL; empty if it is something else, or may contain credentials."""
    # For example git@github.com:owner/name.
    url = re.sub(r"^git@([\w.-]+):", r"https://\1/", template)
    for short, long in ABBREVIATIONS.items():
        url = re.sub(f"^{short}", long, url)
    return url if url.startswith("https://") and not re.search("[@?]", url) else ""


def git(folder, *command):
    """Return a git command's output; empty if the command fails, git is missing, or the folder is not a repository."""
    if not os.path.exists(os.path.join(folder, ".git")) or not shutil.which("git"):  # noqa: PTH110, PTH118
        return ""
    # Slow to import, and needed only if the template is a git repository.
    import subprocess  # noqa: PLC0415

    return subprocess.run(["git", *command], cwd=folder, capture_output=True, text=True, check=False).stdout.strip()


def record(answers):
    """Return the content of ``.template.json``: template, version, commit, owned files with digests, and answers."""
    # Import the project's own module, so that `check` computes the same digests.
    sys.path.insert(0, os.getcwd())  # noqa: PTH109
    sys.dont_write_bytecode = True
    from pathlib import Path  # noqa: PLC0415

    from tools.template import digest  # noqa: PLC0415 # ty: ignore[import-not-found] # the project's module

    folder = answers.get("_repo_dir") or ""
    paths = (path for name in OWNED for path in (Path(name), *Path(name).rglob("*")))
    owned = sorted(path for path in paths if path.is_file() and "__pycache__" not in path.parts)
    return {
        "template": address(answers["_template"]) or address(git(folder, "remote", "get-url", "origin")),
        "version": answers["_template_version"],
        "rendered": answers["_template_version"],
        "commit": git(folder, "rev-parse", "HEAD"),
        "owned": {path.as_posix(): digest(path) for path in owned},
        "answers": {question: answer for question, answer in answers.items() if question[0] != "_"},
    }


def say(lines):
    """Print lines, and escape characters that the terminal's encoding lacks."""
    encoding = sys.stdout.encoding
    print("\n".join(lines).encode(encoding, "backslashreplace").decode(encoding))


def choose_files(answers):
    """Rename or remove files according to the answers."""
    if ci_deploys(answers):
        for (question, answer), files in ONLY_WITH.items():
            for file, name in files.items():
                if answers[question] == answer:
                    os.replace(file, name)  # noqa: PTH105
                else:
                    os.remove(file)  # noqa: PTH107
    else:
        for folder in ONLY_IF_CI_DEPLOYS:
            shutil.rmtree(folder, ignore_errors=True)
    for top in ONLY_IF_NOT_EMPTY:
        for folder, _, _ in os.walk(top, topdown=False):
            if not os.listdir(folder):  # noqa: PTH208
                os.rmdir(folder)  # noqa: PTH106


def main(answers):
    """Choose the files, record the rendering, and print the next steps."""
    choose_files(answers)
    with open(".template.json", "w", encoding="utf-8", newline="\n") as file:  # noqa: PTH123
        json.dump(record(answers), file, indent=2, ensure_ascii=False)
        file.write("\n")
    # cruft sets no `_output_dir`, and also renders temporary projects, whose folder must not be shown.
    if "_output_dir" in answers:
        say(closing_words(answers, os.path.join(answers["_output_dir"], answers["project_slug"])))  # noqa: PTH118


if __name__ == "__main__":
    main(json.loads(r"""{{ cookiecutter | tojson }}"""))
