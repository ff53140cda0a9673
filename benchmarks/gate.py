"""Times of the steps of the rendered `check`, of mypy, and of the unit tests compared with only their imports."""

from benchmarks.measure import in_turn, print_table
from tests.projects import Environment, Project

ROUNDS = 3
PYLINT = ("pylint", "__main__.py", "bootstrap", "infrastructure", "processor", "scripts", "tests")
STEPS: dict[str, tuple[str, ...]] = {
    "ruff format --check": ("ruff", "format", "--check"),
    "ruff check": ("ruff", "check", "--no-cache"),
    "pylint": PYLINT,
    "ty check": ("ty", "check"),
    "unit tests, coverage and reports": ("poe", "test-py-unit"),
}
# Not a part of `check`: it uses ty instead.
MYPY = (
    "mypy",
    "--ignore-missing-imports",
    "--no-incremental",
    "__main__.py",
    "bootstrap",
    "infrastructure",
    "processor",
    "tools",
)
# What the unit tests must import: the program's services of the provider, the emulator, the libraries.
IMPORTS = """\
import boto3, moto, pulumi, pulumi_aws, pydantic, pytest
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities import batch, parser
for service in ("cloudwatch", "dynamodb", "iam", "kms", "lambda_", "s3", "sns", "sqs"):
    dir(getattr(pulumi_aws, service))
"""


def main(project: Project, environment: Environment) -> None:
    """Print a table of the steps, and one of the unit tests."""

    def run(*command: str) -> None:
        environment.run(project, *command).check_returncode()

    times = in_turn({name: lambda command=command: run(*command) for name, command in STEPS.items()}, ROUNDS)
    times |= in_turn({"mypy (not in check)": lambda: environment.run(project, *MYPY)}, 1)
    times |= in_turn({"`check`, its steps side by side": lambda: run("poe", "check")}, ROUNDS)
    print_table(
        "The rendered gate",
        ("step", "median", "ratio to ty"),
        [(name, f"{time:.2f} s", f"{time / times['ty check']:.2f}") for name, time in times.items()],
    )

    times = in_turn(
        {
            "imports only": lambda: run("python", "-c", IMPORTS),
            "unit tests": lambda: run("pytest", "-q", "-p", "no:cacheprovider"),
            "unit tests with coverage": lambda: run("pytest", "-q", "-p", "no:cacheprovider", "--cov"),
        },
        ROUNDS,
    )
    print_table(
        "The rendered unit tests",
        ("what", "median", "ratio"),
        [(name, f"{time:.1f} s", f"{time / times['imports only']:.1f}") for name, time in times.items()],
    )
