"""The promises of the rendered program, broken one at a time in a deployment: each fails the tests that hold it."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import pytest

from tests.deployment.breakages import BREAKAGES, OPTIONS, OUTPUT, WORKFLOW, Breakage
from tests.deployment.emulated import Deployer, Report, emulated
from tests.deployment.mistakes import MISTAKES
from tests.projects import Environment, Project

pytestmark = [pytest.mark.alone, pytest.mark.slow]

# A run mostly waits for messages, so more than one per core can run at the same time.
AT_ONCE = 4
ALL = ("tests/integration",)
WORKFLOW_ALONE = ("tests/integration/test_workflow.py",)
ALL_BUT_THE_WORKFLOW = (*ALL, f"--ignore={WORKFLOW_ALONE[0]}")


@dataclass(frozen=True)
class Run:
    """Tests that are run against a deployment with promises broken.

    Attributes:
        broken: What is broken, by the names of `BREAKAGES`.
        tests: What is tested, for pytest.
        mistake: What is wrong with the function, by the names of `MISTAKES`.
    """

    broken: tuple[str, ...]
    tests: tuple[str, ...]
    mistake: str = ""

    @property
    def expected(self) -> frozenset[str]:
        """Exactly the tests that should fail."""
        if self.mistake:
            return frozenset(MISTAKES[self.mistake].caught_by)
        # Without the other tests, the workflow runs only against what should not fail it.
        return frozenset() if self.tests == WORKFLOW_ALONE else BREAKAGES[self.broken[0]].caught_by


def concerns_the_workflow(breakage: Breakage) -> bool:
    """Whether tests of the workflow should fail."""
    return bool(set(breakage.caught_by) & set(WORKFLOW))


def each_alone() -> list[Run]:
    """Break each promise alone. The workflow is slow, and is left out where it should not fail."""
    return [
        Run((name,), ALL if concerns_the_workflow(breakage) else ALL_BUT_THE_WORKFLOW)
        for name, breakage in BREAKAGES.items()
    ]


def the_others_together() -> list[Run]:
    """Break the promises that should not fail the workflow together, in as few deployments as possible.

    A few runs of the workflow are enough for all of these promises.
    """
    deployments: list[list[str]] = []
    for name, breakage in BREAKAGES.items():
        if concerns_the_workflow(breakage):
            continue
        free = [each for each in deployments if not any(meet(breakage, BREAKAGES[other]) for other in each)]
        if free:
            free[0].append(name)
        else:
            deployments.append([name])
    return [Run(tuple(each), WORKFLOW_ALONE) for each in deployments]


def meet(one: Breakage, other: Breakage) -> bool:
    """Whether two breakages change the same property, or one of them drops what the other changes.

    The stack is found by its ARNs among the outputs, so one of these must be right.
    """
    if one.type == other.type == OUTPUT:
        return "function_arn" in (one.name, other.name)
    if one.type != other.type or (one.name != other.name and "*" not in (one.name, other.name)):
        return False
    return not (one.properties and other.properties) or bool(one.properties & other.properties)


@pytest.fixture(scope="session", name="project")
def fixture_project(packaged_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project with every option on in the local stack."""
    project = packaged_project.copy(tmp_path_factory.mktemp("with-options"))
    lines = [f"  {project.slug}:{key}: {value}\n" for key, value in OPTIONS.items()]
    path = project.path / "Pulumi.local.yaml"
    path.write_text(project.read(path.name) + "".join(lines), encoding="utf-8")
    return project


@pytest.fixture(scope="session", name="reports")
def fixture_reports(
    request: pytest.FixtureRequest,
    project: Project,
    environment: Environment,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[Run, Future[Report]]]:
    """The reports of all runs that this session's tests need, several at the same time."""
    of_items = [getattr(item, "callspec", None) for item in request.session.items]
    asked: list[Run] = [each.params["run"] for each in of_items if each and "run" in each.params]
    free: SimpleQueue[Deployer] = SimpleQueue()

    def find(run: Run) -> Report:
        if run.mistake:
            return find_with_mistake(run)
        deployer = free.get()
        try:
            return deployer.integration_tests(run.broken, run.tests, run.expected)
        finally:
            free.put(deployer)

    def find_with_mistake(run: Run) -> Report:
        with ExitStack() as resources:
            folder = tmp_path_factory.mktemp("mistaken")
            copy = project.copy(folder)
            mistake = MISTAKES[run.mistake]
            copy.replace(mistake.file, mistake.old, mistake.new)
            finished = environment.task(copy, "package", "local")
            assert finished.returncode == 0, finished.stdout
            return opened(resources, copy, folder).integration_tests(run.broken, run.tests, run.expected)

    def opened(resources: ExitStack, copy: Project, folder: Path) -> Deployer:
        found = resources.enter_context(emulated(copy, environment, folder / "emulator"))
        return resources.enter_context(Deployer(found, folder / "deployer.log"))

    with ExitStack() as deployers, ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in range(min(AT_ONCE, len(asked))):
            folder = tmp_path_factory.mktemp("broken")
            free.put(opened(deployers, project.copy(folder), folder))
        # A failing workflow waits until its deadlines, so these runs start first.
        asked.sort(key=lambda run: run.tests == ALL_BUT_THE_WORKFLOW)
        yield {run: pool.submit(find, run) for run in asked}
        pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="session", name="unbroken")
def fixture_unbroken(project: Project, environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The integration tests, run against an unchanged deployment."""
    folder = tmp_path_factory.mktemp("unbroken")
    with emulated(project.copy(folder), environment, folder / "emulator") as found:
        found.deploy()
        return found.integration_tests()


def test_the_integration_tests_pass_for_an_unchanged_deployment(unbroken: Report) -> None:
    assert unbroken.status == 0, unbroken.output
    assert set(unbroken.outcomes.values()) == {"passed"}, unbroken.output
    assert len(unbroken.tests("passed")) > 80


def test_the_report_names_the_stack_and_the_emulators_limits(unbroken: Report) -> None:
    assert "stack: local, region: us-east-2, in the emulator at http://127.0.0.1:" in unbroken.output
    assert "limits of the emulator" in unbroken.output
    assert "- IAM permissions are not enforced" in unbroken.output
    assert "- MetricAlarm.metricQueries is not kept, and so not compared" in unbroken.output


@pytest.mark.parametrize("run", [pytest.param(run, id=run.broken[0]) for run in each_alone()])
def test_a_broken_promise_fails_exactly_the_expected_tests(reports: dict[Run, Future[Report]], run: Run) -> None:
    report = reports[run].result()

    assert report.tests("failed") == run.expected, report.output


@pytest.mark.parametrize("run", [pytest.param(run, id=f"{len(run.broken)} broken") for run in the_others_together()])
def test_other_broken_promises_do_not_fail_the_workflow(reports: dict[Run, Future[Report]], run: Run) -> None:
    report = reports[run].result()

    assert report.tests("failed") == run.expected == set(), report.output
    assert report.tests("passed") == set(WORKFLOW)


@pytest.mark.parametrize("run", [pytest.param(Run((), WORKFLOW_ALONE, name), id=name) for name in MISTAKES])
def test_a_mistake_in_the_function_fails_the_workflow(reports: dict[Run, Future[Report]], run: Run) -> None:
    report = reports[run].result()

    assert report.tests("failed") == run.expected, report.output


def test_every_integration_test_has_a_breakage_that_fails_it(unbroken: Report) -> None:
    caught = frozenset().union(*(breakage.caught_by for breakage in BREAKAGES.values()))

    assert unbroken.tests("passed") - caught == set()
    assert caught <= unbroken.tests("passed")
