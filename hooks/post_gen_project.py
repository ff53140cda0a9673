"""Removes what the answers did not ask for, where a file's name that renders empty cannot do it.

Cookiecutter renders this file and runs it in the new folder. The answers come in as one JSON literal, as in
``pre_gen_project.py``.
"""

import json
import os
import shutil

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


def ci_deploys(answers):
    """Whether the project is deployed from CI: a runner does not have the state that is kept in local files."""
    return answers["ci"] != "none" and answers["state_backend"] != "local-file"


def main(answers):
    """Remove what was not asked for, and folders whose files all have names that rendered empty."""
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
    for folder, _, _ in os.walk(os.curdir, topdown=False):
        if not os.listdir(folder):  # noqa: PTH208 # pathlib starts slowly
            os.rmdir(folder)  # noqa: PTH106


if __name__ == "__main__":
    main(json.loads(r"""{{ cookiecutter | tojson }}"""))
