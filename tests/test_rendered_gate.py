"""The checks of every rendered project pass, write their reports, and fail for every kind of mistake."""

import hashlib
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.projects import Environment, Project

pytestmark = pytest.mark.slow

RUNS_ON = re.compile(r"^  \S+:lambda(?:Runtime|Architecture): (.*)$", flags=re.MULTILINE)
TESTS_OF_STACKS = [f"tests/unit/infrastructure/test_{name}.py" for name in ("processing", "program", "settings")]
UNTESTED_BRANCH = '''

def _untested(number: int) -> int:
    """Nobody tests this."""
    return 1 if number else 0


def half_tested(number: int) -> int:
    """Only one of two ways through this is tested."""
    if number > 0:
        number += 1
    return number


half_tested(1)
'''


@pytest.fixture(name="broken")
def fixture_broken(default_project: Project, tmp_path: Path) -> Project:
    """A copy of the default project for a test to break."""
    return default_project.copy(tmp_path)


@pytest.fixture(scope="session", name="runs_passed")
def fixture_runs_passed() -> set[tuple[str, ...]]:
    """The runtimes and architectures with which the unit tests have passed."""
    return set()


@pytest.fixture(scope="session", name="gates_passed")
def fixture_gates_passed() -> set[str]:
    """Digests of files that the unit tests have passed with: projects with the same files share a run."""
    return set()


def what_unit_tests_read(project: Project) -> str:
    """Return a digest of the files that the unit tests depend on: the Python files, Pulumi's, and the tests' settings.

    Runtime and architecture are left out, because another test varies them.
    """
    tools = project.toml("pyproject.toml")["tool"]
    names = [*project.python_files(), *sorted(name for name in project.names() if name.startswith("Pulumi."))]
    names += ["policies.toml"]
    files = [RUNS_ON.sub("", project.read(name)) for name in names]
    content = [str(tools["pytest"]), str(tools["coverage"]), *files, *project.requirements()]
    return hashlib.sha256("\0".join([*content, str(tools["poe"]["tasks"]["test-py-unit"])]).encode()).hexdigest()


def test_the_unit_tests_pass_and_cover_everything(
    project: Project, environment_of: Callable[[Project], Environment], tmp_path: Path, gates_passed: set[str]
) -> None:
    digest = what_unit_tests_read(project)
    if digest in gates_passed:
        return
    copy = project.copy(tmp_path)

    finished = environment_of(project).task(copy, "test-py-unit")

    assert finished.returncode == 0, finished.stdout
    assert re.search(r"\b\d{3,} passed in ", finished.stdout)
    assert "skipped" not in finished.stdout.splitlines()[-1]
    summary = json.loads(copy.read("coverage/coverage-summary.json"))
    totals = summary["totals"]
    assert totals["percent_covered"] == 100
    assert totals["num_branches"] == totals["covered_branches"] > 50
    files = {name.replace("\\", "/"): covered for name, covered in summary["files"].items()}
    assert set(files) == {name for name in copy.python_files() if not name.startswith(("tests/", "tools/"))}
    for name, covered in files.items():
        lines = copy.read(name).splitlines()
        # coverage.py leaves out imports that are only for type checking.
        for excluded in (lines[number - 1].strip() for number in covered["excluded_lines"]):
            assert re.fullmatch(r"|if TYPE_CHECKING:|from mypy_boto3_.+", excluded), f"{name}: {excluded}"
    report = ET.fromstring(copy.read("coverage/coverage.xml"))  # noqa: S314 # written by the line above
    assert (report.get("line-rate"), report.get("branch-rate")) == ("1", "1")
    assert "100%" in copy.read("coverage/html/index.html")
    gates_passed.add(digest)


def test_the_unit_tests_pass_for_every_runtime_and_architecture(
    project: Project, environment_of: Callable[[Project], Environment], runs_passed: set[tuple[str, ...]]
) -> None:
    runs_on = tuple(RUNS_ON.findall(project.read("Pulumi.dev.yaml")))
    assert len(runs_on) == 2
    if runs_on in runs_passed:
        return

    finished = environment_of(project).run(project, "pytest", "-q", "-p", "no:cacheprovider", *TESTS_OF_STACKS)

    assert finished.returncode == 0, finished.stdout
    runs_passed.add(runs_on)


# Runs the unit tests with signals ignored, as nohup, background shells and some CI runners do.
IGNORING_SIGNALS = """
import signal, subprocess, sys
for name in ("SIGHUP", "SIGINT", "SIGTERM"):
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
sys.exit(subprocess.run(pytest, stdin=subprocess.DEVNULL).returncode)
"""


def test_the_unit_tests_pass_in_any_order_however_they_are_started_and_leave_nothing_behind(
    broken: Project, environment: Environment
) -> None:
    before = broken.names()
    reverse = "def pytest_collection_modifyitems(items):\n    items.reverse()\n"
    (broken.path / "conftest.py").write_text(reverse, encoding="utf-8")

    finished = environment.run(broken, "python", "-c", IGNORING_SIGNALS)

    assert finished.returncode == 0, finished.stdout
    left = {name for name in broken.names() - before if "__pycache__" not in name}
    assert left == {"conftest.py"}


@pytest.fixture(name="quick")
def fixture_quick(broken: Project) -> Project:
    """A copy whose slow steps do nothing, to test the effect of one broken step on the whole check."""
    test_command = broken.tasks()["test-py-unit"]["cmd"]
    broken.replace("pyproject.toml", test_command, "python --version")
    broken.replace("pyproject.toml", "pylint __main__.py", "python --version")
    return broken


LINT_ERROR = '"""A module."""\n\nimport os\n'


def test_a_lint_error_fails(quick: Project, environment: Environment) -> None:
    (quick.path / "tools" / "lint_error.py").write_text(LINT_ERROR, encoding="utf-8")

    finished = environment.task(quick, "lint")

    assert finished.returncode != 0
    assert "F401" in finished.stdout


def test_an_error_that_only_pylint_finds_fails(broken: Project, environment: Environment) -> None:
    broken.replace(
        "processor/storage.py",
        "        if self._is_announced(item):\n",
        "        if self._is_announced(item) and json is json:\n",
    )

    finished = environment.task(broken, "lint")

    assert finished.returncode != 0
    assert "comparison-with-itself" in finished.stdout


def test_a_type_error_fails(broken: Project, environment: Environment) -> None:
    broken.replace("infrastructure/storage.py", 'hash_key="message_id"', "hash_key=[1]")

    finished = environment.task(broken, "typecheck")

    assert finished.returncode != 0
    assert "infrastructure/storage.py" in finished.stdout.replace("\\", "/")


def test_the_check_passes_if_all_steps_pass(quick: Project, environment: Environment) -> None:
    assert environment.task(quick, "check").returncode == 0


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("__main__.py", '"bucket_name", ', '"bucket_name",   ', "would be reformatted"),
        ("__main__.py", "import pulumi\n", "import os\n\nimport pulumi\n", "F401"),
        ("tools/outputs.py", "OUTPUTS_FILE: Final = ", "OUTPUTS_FILE: Final[int] = ", "tools/outputs.py"),
        (
            "pyproject.toml",
            'reports to coverage/"\ncmd = "python --version"',
            'x"\ncmd = "python -c 1/0"',
            "ZeroDivision",
        ),
        ("pyproject.toml", 'cmd = "python --version bootstrap', 'cmd = "python -c 1/0 bootstrap', "ZeroDivision"),
        ("Pulumi.yaml", "default: 120", "default: 121", "not up to date with the code: Pulumi.yaml; run `uv run poe"),
        ("Pulumi.dev.yaml", "lambdaMemoryMb: 512", "lambdaMemoryMb: 64", "a whole number from 128 to 10240"),
    ],
    ids=["format", "ruff", "types", "tests", "pylint", "generated", "configuration"],
)
def test_one_broken_step_fails_the_check_and_no_file_is_changed(
    quick: Project, environment: Environment, name: str, old: str, new: str, said: str
) -> None:
    quick.replace(name, old, new)
    before = {each: quick.read(each) for each in quick.names()}

    finished = environment.task(quick, "check")

    assert finished.returncode != 0
    assert said in finished.stdout.replace("\\", "/")
    assert {each: quick.read(each) for each in before} == before


def test_every_broken_step_is_shown(quick: Project, environment: Environment) -> None:
    quick.replace("__main__.py", "import pulumi\n", "import os\n\nimport pulumi\n")
    quick.replace("Pulumi.yaml", "default: 120", "default: 121")
    quick.replace("infrastructure/storage.py", 'hash_key="message_id"', "hash_key=[1]")

    finished = environment.task(quick, "check")

    assert finished.returncode != 0
    for said in ("F401", "not up to date", "invalid-argument-type", "'lint'", "'typecheck'", "'_generate'"):
        assert said in finished.stdout, finished.stdout


def test_a_failing_test_fails(broken: Project, environment: Environment) -> None:
    broken.replace("infrastructure/messaging.py", '"maxReceiveCount": settings', '"maxReceiveCount": 1 + settings')

    finished = environment.task(broken, "test-py-unit")

    assert finished.returncode != 0
    assert "test_a_message_that_is_received_too_often_is_dead_lettered" in finished.stdout


def test_an_uncovered_branch_fails(broken: Project, environment: Environment) -> None:
    path = broken.path / "infrastructure" / "naming.py"
    path.write_text(path.read_text(encoding="utf-8") + UNTESTED_BRANCH, encoding="utf-8")

    finished = environment.task(broken, "test-py-unit")

    assert finished.returncode != 0
    assert "Required test coverage of 100.0% not reached" in finished.stdout


def test_a_removed_test_fails(broken: Project, environment: Environment) -> None:
    (broken.path / "tests" / "unit" / "scripts" / "test_local_send.py").unlink()

    finished = environment.task(broken, "test-py-unit")

    assert finished.returncode != 0
    assert "Required test coverage of 100.0% not reached" in finished.stdout


ANOTHER_STACK = """\
  event-pipeline:kmsKeyArn: arn:aws:kms:us-east-2:123456789012:key/99999999-8888-7777-6666-555555555555
  event-pipeline:bucketName: a-bucket-of-ours
  event-pipeline:lambdaReservedConcurrency: "-1"
  event-pipeline:lambdaTimeoutSeconds: 100
  event-pipeline:batchSize: 100
  event-pipeline:batchWindowSeconds: 20
  event-pipeline:maxReceiveCount: 5
  event-pipeline:noncurrentVersionDays: 7
  event-pipeline:forceDestroy: "true"
"""


def test_another_stack_with_other_settings_passes(broken: Project, environment: Environment) -> None:
    another = broken.read("Pulumi.dev.yaml").replace("environmentSuffix: dev", "environmentSuffix: qa") + ANOTHER_STACK
    (broken.path / "Pulumi.qa.yaml").write_text(another, encoding="utf-8")

    finished = environment.run(broken, "pytest", "-q")

    assert finished.returncode == 0, finished.stdout


# A security-relevant input, its weaker value, and a test that must fail.
SECURITY_TESTS = "tests/unit/infrastructure/test_security.py"
WEAKENINGS = {
    "versioning off": (
        "buckets",
        '{"status": "Enabled"},\n            opts',
        '{"status": "Suspended"},\n            opts',
        "CKV_AWS_21",
    ),
    "public policies allowed": ("buckets", "block_public_policy=True", "block_public_policy=False", "CKV_AWS_54"),
    "payloads without KMS": ("buckets", '"sse_algorithm": "aws:kms"', '"sse_algorithm": "AES256"', "CKV_AWS_145"),
    "no recovery": (
        "storage",
        'point_in_time_recovery={"enabled": True}',
        'point_in_time_recovery={"enabled": False}',
        "CKV_AWS_28",
    ),
    "table without a key": (
        "storage",
        '{"enabled": True, "kms_key_arn": kms_key_arn}',
        '{"enabled": True}',
        "CKV_AWS_119",
    ),
    "uploads never aborted": (
        "buckets",
        '"days_after_initiation": INCOMPLETE_UPLOAD_DAYS',
        '"days_after_initiation": 0',
        "test_noncurrent_versions_and_incomplete_uploads",
    ),
    "TLS not required": ("iam", '"aws:SecureTransport": "false"', '"aws:SecureTransport": "true"', "TLS only"),
    "topic open to everybody": ("alarms", 'iam.service_principal("cloudwatch")', '"*"', "CKV_AWS_169"),
    "topic not encrypted": (
        "messaging",
        'names.of("notifications"),\n            kms_master_key_id=kms_key_arn,',
        'names.of("notifications"),',
        "CKV_AWS_26",
    ),
    "wildcard action": ("processing", '"Action": "s3:PutObject"', '"Action": "s3:*"', "CKV_AWS_63"),
    "wildcard resource": ("processing", '"Resource": storage.table.arn', '"Resource": "*"', "CKV_AWS_355"),
    "one action too many": (
        "processing",
        '"Action": "sns:Publish"',
        '"Action": ["sns:Publish", "sns:Subscribe"]',
        "Notify",
    ),
    "tracing off": ("processing", '{"mode": "Active"}', '{"mode": "PassThrough"}', "CKV_AWS_50"),
    "environment not encrypted": (
        "processing",
        "kms_key_arn=kms_key_arn,\n            tracing",
        "tracing",
        "CKV_AWS_173",
    ),
    "logs not encrypted": ("processing", "kms_key_id=kms_key_arn,\n", "", "CKV_AWS_158"),
    "key not rotated": ("encryption", "enable_key_rotation=True", "enable_key_rotation=False", "CKV_AWS_7 "),
    "key open to everybody": ("iam", '{"AWS": account.root_arn}', '{"AWS": "*"}', "CKV_AWS_33"),
    "data not protected": (
        "context",
        "protect=self.settings.is_production",
        "protect=False",
        "test_production_protects",
    ),
    "policy of another bucket": (
        "buckets",
        "bucket=self.bucket.id,\n            policy",
        'bucket="b",\n            policy',
        "test_a_bucket_accepts_tls_only",
    ),
    "encryption of another bucket": (
        "buckets",
        "bucket=self.bucket.id,\n            rules=[",
        'bucket="b",\n            rules=[',
        "CKV_AWS_145",
    ),
    "dead-letter queue without a policy": (
        "messaging",
        "queue_url=queue.url,",
        "queue_url=self.queue.url,",
        "test_a_queue_accepts_tls_only",
    ),
    "permissions of another role": (
        "processing",
        "role=self.role.id",
        'role="other"',
        "test_the_permissions_are_attached",
    ),
    "another handler": ("processing", "handler=HANDLER", 'handler="nothing.at_all"', "test_the_function_is_configured"),
    "messages filtered out": (
        "processing",
        "batch_size=settings",
        "filter_criteria={}, batch_size=settings",
        "no_unexpected_input",
    ),
    "alarms silenced": (
        "alarms",
        "evaluation_periods=alarm.window.of,",
        "evaluation_periods=alarm.window.of, actions_enabled=False,",
        "no_unexpected_input",
    ),
    "any account's alarms": (
        "alarms",
        '"aws:SourceAccount": account.id',
        '"aws:SourceAccount": "*"',
        "test_only_the_stacks_alarms_and_eventbridge_may_publish",
    ),
    "any account's logs": ("encryption", '"ArnEquals": {', '"ArnLike": {', "test_the_stacks_key_can_be_used"),
    "parts not kept": (
        "context",
        "depends_on=after, retain_on_delete=self.settings.is_production",
        "depends_on=after",
        "is_retained_only_if",
    ),
}


@pytest.mark.parametrize("weakening", WEAKENINGS)
def test_a_weakened_input_fails(broken: Project, environment: Environment, weakening: str) -> None:
    module, old, new, failing_test = WEAKENINGS[weakening]
    broken.replace(f"infrastructure/{module}.py", old, new)

    chosen = ["-k", failing_test] if failing_test.isidentifier() else []
    tests = "tests/unit/infrastructure" if chosen else SECURITY_TESTS
    finished = environment.run(broken, "pytest", "-q", tests, *chosen, "--no-header", "--tb=no", "-rf")

    assert finished.returncode == 1, finished.stdout
    assert failing_test in finished.stdout
