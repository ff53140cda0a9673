"""pytest hooks of the integration tests, in a small project: collection, skips, messages, and refusals to start."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import NoCredentialsError

from tools.configuration.documents import DocumentError
from tools.testing import integration
from tools.testing.deployed import NotDeployedError
from tools.testing.limits import EMULATOR_LIMITS
from tools.testing.recording import Deployment

# The conftest.py of a project.
CONFTEST = """
from tools.testing.integration import *
from tools.testing.integration import fixture_deployed, fixture_promises, fixture_resource
"""
TESTS = """
import pytest

def test_stack(deployed):
    assert deployed.stack

def test_resource(resource):
    assert resource.inputs

def test_output(output, promises):
    assert output in promises.exports

@pytest.mark.local_only(reason="too slow on AWS")
def test_slow():
    pass

def test_of_the_settings():
    pass
"""
INI = """
[pytest]
markers = local_only(reason): only in the emulator
"""

Run = Callable[..., pytest.RunResult]


@pytest.fixture(name="deployed")
def fixture_deployed(deploy_stack: Callable[..., Deployment]) -> SimpleNamespace:
    """The dev stack; nothing here calls AWS."""
    program = SimpleNamespace(recorded=deploy_stack("dev"))
    return SimpleNamespace(
        program=program, stack="dev", account=SimpleNamespace(region="us-east-2"), is_local=False, outputs={}
    )


@pytest.fixture(name="run")
def fixture_run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, deployed: SimpleNamespace) -> Run:
    """Run the tests of a project in this process."""
    pytester.makeini(INI)
    folder = pytester.mkdir("integration")
    (folder / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (folder / "test_all.py").write_text(TESTS, encoding="utf-8")

    def run(*arguments: str, found: Any = deployed, promised: Any = deployed.program.recorded) -> pytest.RunResult:
        monkeypatch.setattr(integration, "find_deployed", lambda: answer(found))
        monkeypatch.setattr(integration, "promised", lambda _: answer(promised))
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-rs", "-v", *(arguments or ("integration",)))

    return run


def answer(what: Any) -> Any:
    """Return something, or raise it."""
    if isinstance(what, Exception):
        raise what
    return what


def test_each_resource_and_each_output_is_a_separate_test(run: Run, deployed: SimpleNamespace) -> None:
    recorded = deployed.program.recorded
    resources = [each for each in recorded.resources if not each.is_component]

    result = run()

    result.assert_outcomes(passed=1 + len(resources) + len(recorded.exports) + 1, skipped=1)
    result.stdout.fnmatch_lines(
        ["*test_resource[[]Queue dead-letters[]] PASSED*", "*test_output[[]queue_url[]] PASSED*"]
    )


def test_the_header_names_the_stack_and_where_it_is(run: Run) -> None:
    result = run()

    result.stdout.fnmatch_lines(["stack: dev, region: us-east-2, in AWS"])
    result.stdout.no_fnmatch_line("*limits of the emulator*")


def test_a_test_for_the_emulator_only_is_skipped_on_aws_with_the_reason(run: Run) -> None:
    run().stdout.fnmatch_lines(["SKIPPED*too slow on AWS"])


def test_in_the_emulator_no_test_is_skipped_and_its_limits_are_printed(
    run: Run, deployed: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed.is_local = True
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:5000")

    result = run()

    assert result.parseoutcomes().keys() == {"passed"}
    result.stdout.fnmatch_lines(["stack: dev, region: us-east-2, in the emulator at http://127.0.0.1:5000"])
    result.stdout.fnmatch_lines(["*limits of the emulator*", *(f"- {limit}" for limit in EMULATOR_LIMITS)])


@pytest.mark.parametrize(
    "error", [NotDeployedError("deploy first"), DocumentError("Pulumi.yaml", "has no project name")], ids=str
)
@pytest.mark.parametrize("arguments", ["integration", "."])
def test_without_a_stack_one_line_says_why_and_no_test_passes(run: Run, error: Exception, arguments: str) -> None:
    result = run(arguments, found=error)

    said = result.stderr.str() + result.stdout.str()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: {error}" in said
    assert "Traceback" not in said
    assert "passed" not in said


def test_without_a_stack_running_in_the_tests_folder_fails_too(
    run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pytester.path / "integration")

    result = run(".", found=NotDeployedError("deploy first"))

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.no_fnmatch_line("stack: *")


def test_without_a_stack_nothing_is_imported_first(run: Run, pytester: pytest.Pytester) -> None:
    (pytester.path / "integration" / "test_more.py").write_text("raise TypeError('imported')\n", encoding="utf-8")

    result = run(found=NotDeployedError("deploy first"))

    assert "imported" not in result.stdout.str() + result.stderr.str()


def test_without_access_to_aws_the_run_ends_with_one_line(run: Run) -> None:
    result = run(promised=NoCredentialsError())

    assert result.ret == 1
    result.stdout.fnmatch_lines(["*the stack dev cannot be read from AWS: Unable to locate credentials*"])
    assert result.parseoutcomes() == {"passed": 1}
