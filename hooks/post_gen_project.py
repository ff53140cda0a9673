"""Removes what the answers did not ask for, where a file's name that renders empty cannot do it, and says what is next.

Cookiecutter renders this file and runs it in the new folder. The answers come in as one JSON literal, as in
``pre_gen_project.py``.
"""

import json
import os
import shlex
import shutil
import sys

# Python files are copied as they are, and their names are not rendered either.
ONLY_IF_CI_DEPLOYS = ("bootstrap", os.path.join("tests", "unit", "bootstrap"))  # noqa: PTH118 # pathlib starts slowly
# An answer, and the Python files that only projects with it have, each with its name there.
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
# All files in these may have names that rendered empty. Other empty folders may be git's, if a project is overwritten.
ONLY_IF_NOT_EMPTY = (".github", ".gitlab")

FIRST_COMMANDS = {"uv": ("uv sync", "uv run poe check"), "pipenv": ("pipenv install --dev", "pipenv run check")}
# What the project needs on the PATH: what for, and how to get it.
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
    """Whether the project is deployed from CI: a runner does not have the state that is kept in local files."""
    return answers["ci"] != "none" and answers["state_backend"] != "local-file"


def has_python(oldest):
    """Whether this machine has a Python of this version or a newer one, as ``X.Y``, on the PATH or running this."""
    import subprocess  # noqa: PLC0415 # only one package manager needs to know, and every rendering would pay for it

    needed = tuple(map(int, oldest.split(".")))
    if sys.version_info[:2] >= needed:
        return True
    newer = (f"python3.{minor}" for minor in range(needed[1], NEWEST_MINOR + 1))
    found = filter(None, map(shutil.which, ("python3", "python", "py", *newer)))
    # A name on the PATH may be a shim of pyenv's or of Windows's store with nothing behind it.
    program = f"import sys; sys.exit(sys.version_info < {needed})"
    return any(not subprocess.run([path, "-c", program], capture_output=True, check=False).returncode for path in found)


def missing(answers):
    """Yield a line for each tool that the project needs and this machine lacks: what it is for, and how to get it."""
    manager = answers["package_manager"]
    for tool, (purpose, page) in {manager: MANAGERS[manager], **TOOLS}.items():
        if not shutil.which(tool):
            yield f"{tool}, {purpose}: {page}"
    oldest = answers["python_version"]
    # uv downloads a Python by itself.
    if manager == "pipenv" and not has_python(oldest):
        yield f"Python {oldest} or newer, which you chose for the project: {PYTHON_PAGE}"


def closing_words(answers, project):
    """Say where the project is, what this machine lacks, and the first commands, as lines."""
    # Neither cmd.exe nor PowerShell reads a shell's quoting; a path on Windows cannot contain a quotation mark.
    folder = f'"{project}"' if os.name == "nt" else shlex.quote(project)
    yield f"\nYour project is in {project}."
    lacking = list(missing(answers))
    if lacking:
        yield from ("\nNot on the PATH of this machine yet:\n", *(f"    {line}" for line in lacking))
    duration = " The installation takes a few minutes:" if answers["package_manager"] == "pipenv" else ""
    yield f"\nNext:{duration}\n"
    yield from (f"    {command}" for command in (f"cd {folder}", *FIRST_COMMANDS[answers["package_manager"]]))
    yield ""


def say(lines):
    """Print lines. Characters of a folder's name that the terminal cannot show are escaped."""
    encoding = sys.stdout.encoding
    print("\n".join(lines).encode(encoding, "backslashreplace").decode(encoding))


def main(answers):
    """Remove what was not asked for, then print what to type next."""
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
    # cruft renders without an output folder, to compare versions of the template: then there is nothing to type.
    if "_output_dir" in answers:
        say(closing_words(answers, os.path.join(answers["_output_dir"], answers["project_slug"])))  # noqa: PTH118


if __name__ == "__main__":
    main(json.loads(r"""{{ cookiecutter | tojson }}"""))
