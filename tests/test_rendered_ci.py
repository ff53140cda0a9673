"""Tests of the rendered CI files: validity, least privilege, deployment order, and the pins that Renovate updates."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from jinja2 import Environment as Templates
from jinja2 import FileSystemLoader

from tests.combinations import CHOICES, QUESTIONS, ROOT
from tests.projects import Project

Bake = Callable[..., Project]

BINARIES = Path(sys.executable).parent
SHARED: Any = Templates(loader=FileSystemLoader(ROOT / "templates"), autoescape=True).get_template("ci.jinja").module
ACTIONS: list[str] = list(SHARED.actions.values())
STACKS = ["dev", "staging", "prod"]
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"
ALL = [dict(zip(("ci", "package_manager", "state_backend"), answers, strict=True)) for answers in product(
    CHOICES["ci"], CHOICES["package_manager"], CHOICES["state_backend"]
)]  # fmt: skip
WITH_CI = [answers for answers in ALL if answers["ci"] != "none"]
S3 = [answers for answers in ALL if answers["state_backend"] == "s3"]
DEPLOYING = [answers for answers in WITH_CI if answers["state_backend"] != "local-file"]
# Permissions of each GitHub job's token.
READS, ASSUMES = {"contents": "read"}, {"contents": "read", "id-token": "write"}
RIGHTS = {
    "check": READS,
    "comment": {"pull-requests": "write"},
    "issue": {"issues": "write"},
    **dict.fromkeys(["stack", "plan", "deploy", *STACKS], ASSUMES),
}
# GitHub environment of each job that assumes a role.
GITHUB_ENVIRONMENTS = {
    "stack": {"name": "${{ matrix.stack }}-preview", "deployment": False},
    "plan": {"name": "${{ inputs.stack }}-preview", "deployment": False},
    "deploy": "${{ inputs.stack }}",
}
# Previews do not run for forks or bots. On Renovate's branches, they require a manual re-run.
TRUSTED = (
    "github.event_name != 'pull_request' || github.event.pull_request.head.repo.full_name == github.repository "
    "&& !endsWith(github.triggering_actor, '[bot]') "
    "&& (github.run_attempt > 1 || !startsWith(github.head_ref, 'renovate/'))"
)
READING = {"name": "$STACK-preview", "action": "access"}
GITLAB_ENVIRONMENTS = {"preview": READING, "drift": READING, "plan": READING, "deploy": "$STACK"}
# Events that trigger GitHub workflows. `pull_request_target` could give a fork's code the repository's permissions.
EVENTS = {"merge_group", "pull_request", "push", "schedule", "workflow_call", "workflow_dispatch"}
# Rules of the GitLab jobs. A job without rules is in every pipeline.
WITHIN = "$CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_MERGE_REQUEST_PROJECT_ID"
NO_BOT = "$GITLAB_USER_LOGIN !~ /(^|[-_])bot([-_]|$)/"
MAIN = '$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH && $CI_PIPELINE_SOURCE != "schedule"'
RULES: dict[str, Any] = {
    "check": [{"if": '$CI_PIPELINE_SOURCE != "schedule"'}],
    "preview": [{"if": f'$CI_PIPELINE_SOURCE == "merge_request_event" && {WITHIN} && {NO_BOT}'}],
    "drift": [{"if": '$CI_PIPELINE_SOURCE == "schedule"'}],
    "plan": None,
    # Only the deployment to prod is started by hand.
    "deploy": [{"if": '$STACK == "prod"', "when": "manual"}, {"when": "on_success"}],
    **{stack: [{"if": MAIN}] for stack in STACKS},
}
# Programs that CI may call besides the tasks.
PROGRAM = re.compile(r"python -m pip install|uv sync|pipenv sync|pulumi login|gh (issue|pr) \w+|cat|echo")


def each_of(*systems: str, answers: list[dict[str, str]] = DEPLOYING) -> pytest.MarkDecorator:
    """Parametrize a test with the answers that choose one of the given CI systems."""
    chosen = [each for each in answers if each["ci"] in systems]
    return pytest.mark.parametrize("answers", chosen, ids=lambda each: "-".join(each.values()))


def pipelines(project: Project) -> list[str]:
    return sorted(each for each in project.names() if each.startswith((".github/", ".gitlab")))


def text_of(project: Project) -> str:
    return "\n".join(project.read(file) for file in pipelines(project))


def workflows(project: Project) -> dict[str, dict[Any, Any]]:
    files = [each for each in pipelines(project) if "/workflows/" in each]
    return {Path(each).stem: project.yaml(each) for each in files}


def github_jobs(project: Project) -> Iterator[tuple[str, dict[str, Any]]]:
    """Iterate over the jobs of all GitHub workflows, each with its name."""
    for workflow in workflows(project).values():
        yield from workflow["jobs"].items()


def gitlab_jobs(project: Project) -> dict[str, dict[str, Any]]:
    """Return the jobs of all GitLab files by name, with ``extends`` resolved."""
    found: dict[str, Any] = {}
    for file in pipelines(project):
        found |= project.yaml(file)

    def extended(job: str) -> dict[str, Any]:
        base = extended(found[job]["extends"]) if "extends" in found[job] else {}
        return base | found[job]

    reserved = {"include", "stages", "variables", "workflow"}
    return {job: extended(job) for job in found if job not in reserved and not job.startswith(".")}


def run(program: str, *arguments: str, folder: Path) -> None:
    """Run a command that must succeed. ``program`` is a path, or a name in the template's virtual environment."""
    command = [str(BINARIES / program), *arguments]
    finished = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stdout + finished.stderr


def check_schema(project: Project, schema: str, files: list[str]) -> None:
    run("check-jsonschema", "--builtin-schema", schema, *files, folder=project.path)


@each_of("github", "gitlab", "none", answers=ALL)
def test_workflows_are_those_of_the_ci_system_and_deploy_unless_local_file(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers)

    assert {file[1:7] for file in pipelines(project)} == ({answers["ci"]} - {"none"})
    assert bool(re.search(r"\bci deploy\b", text_of(project))) is (answers in DEPLOYING)


def test_the_workflows_stacks_are_the_stack_files_except_local(default_project: Project) -> None:
    files = {each.split(".")[1] for each in default_project.names() if re.fullmatch(r"Pulumi\.\w+\.yaml", each)}

    assert (SHARED.stacks, files) == (STACKS, {"local", *STACKS})


@each_of("github", "gitlab", answers=ALL)
def test_the_files_are_valid_and_zizmor_finds_no_problems(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers)
    for kind in ("workflows", "actions") if answers["ci"] == "github" else ():
        check_schema(project, f"vendor.github-{kind}", [each for each in pipelines(project) if f"/{kind}/" in each])
    if answers["ci"] == "github":
        run("zizmor", "--offline", "--persona", "pedantic", ".github", folder=project.path)
    else:
        check_schema(project, "vendor.gitlab-ci", pipelines(project))


@pytest.fixture(scope="session", name="actionlint")
def fixture_actionlint(shared_folder: Path) -> str:
    """Path of actionlint: found on the PATH, or built with Go. The PyPI package would download it from GitHub."""
    found, go = shutil.which("actionlint"), shutil.which("go")
    if found or not go:
        return found or pytest.skip("neither actionlint, nor Go to build it, is on the PATH")
    folder = shared_folder / "go"
    paths = {name: str(folder / name.lower()) for name in ("GOBIN", "GOCACHE", "GOPATH")}
    with FileLock(f"{folder}.lock"):
        command = [go, "install", "-modcacherw", ACTIONLINT]
        subprocess.run(command, check=True, capture_output=True, env=os.environ | paths)
    return str(folder / "gobin" / "actionlint")


@pytest.mark.slow
@each_of("github")
def test_actionlint_finds_no_problems(bake: Bake, answers: dict[str, str], tmp_path: Path, actionlint: str) -> None:
    project = bake(**answers).copy(tmp_path)
    (project.path / ".git").mkdir()
    # actionlint 1.7.12 does not support "$/". With "./", it also checks the inputs of the actions.
    for file in pipelines(project):
        (project.path / file).write_text(project.read(file).replace("uses: $/", "uses: ./"), encoding="utf-8")

    run(actionlint, folder=project.path)


def test_the_workflows_use_exactly_the_listed_actions_pinned_by_commit(bake: Bake) -> None:
    texts = [text_of(bake(**answers)) for answers in WITH_CI if answers["ci"] == "github"]
    used = set(re.findall(r"uses: (?!\$/)(.+)", "\n".join(texts)))
    own = set(re.findall(r"uses: (.+)", (ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8")))

    assert used == set(ACTIONS) >= own
    assert len({action.partition("@")[0] for action in ACTIONS}) == len(ACTIONS)
    assert [each for each in ACTIONS if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)] == []


@each_of("github", "gitlab", answers=WITH_CI)
def test_the_runner_the_image_and_every_tool_are_pinned(bake: Bake, answers: dict[str, str]) -> None:
    versions = re.findall(r"""(?:version: "|\w==|image: \S+:|runs-on: \w+-)([^\s"]*)""", text_of(bake(**answers)))

    assert {SHARED.pulumi_version, getattr(SHARED, f"{answers['package_manager']}_version")} <= set(versions)
    assert [version for version in versions if not re.fullmatch(r"\d+(\.\d+)+", version)] == []


@each_of("github")
def test_each_github_job_has_least_privilege_and_its_environment(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers)
    environments = {}
    for job, content in github_jobs(project):
        assert content["permissions"] == RIGHTS[job], job
        asks = [step["with"] for step in content.get("steps", ()) if "/credentials" in step.get("uses", "")]
        assert bool(asks) is ("steps" in content and "id-token" in content["permissions"]), job
        for inputs in asks:
            environments[job] = content["environment"]
            assert inputs["role"] == "${{ vars.AWS_ROLE_ARN }}"
            # The job times out before its credentials expire.
            assert content["timeout-minutes"] * 60 <= int(inputs.get("seconds", "3600"))

    assert environments == GITHUB_ENVIRONMENTS
    assert [content["if"] for job, content in github_jobs(project) if job == "stack"] == [TRUSTED]
    # YAML 1.1 parses the key "on" as True.
    assert {event for workflow in workflows(project).values() for event in workflow[True]} == EVENTS


@each_of("gitlab")
def test_each_gitlab_job_has_only_its_rules_and_its_environment(bake: Bake, answers: dict[str, str]) -> None:
    jobs = gitlab_jobs(bake(**answers))
    organization = " && $PULUMI_ORGANIZATION" if answers["state_backend"] == "pulumi-cloud" else ""
    # Without an organization, no job can log in to Pulumi Cloud.
    login = {job: [{"if": RULES[job][0]["if"] + organization}] for job in ("preview", "drift")}

    assert {job: each.get("rules") for job, each in jobs.items()} == RULES | login
    # Outside `rules`, a manual job has `allow_failure: true` by default, and the pipeline would not wait for it.
    assert [job for job, each in jobs.items() if each.keys() & {"when", "only", "except", "allow_failure"}] == []
    assert {job: each["environment"] for job, each in jobs.items() if "id_tokens" in each} == GITLAB_ENVIRONMENTS


@each_of("github", "gitlab")
def test_every_variable_to_set_is_documented_and_none_is_a_secret(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers)
    text, document = text_of(project), project.read("docs/continuous-deployment.md")
    names = re.findall(r"\bvars\.(\w+)|\$(PULUMI_ORG\w+)|inputs\.(allow_\w+)|^  (CI_ALLOW_\w+)", text, re.MULTILINE)
    asked = {"AWS_ROLE_ARN"} | {"".join(each) for each in names}

    assert "secrets" not in text
    assert ("PULUMI_ORGANIZATION" in asked) is (answers["state_backend"] == "pulumi-cloud")
    assert asked <= set(re.findall(r"\w+", document))


@each_of("github", "gitlab", answers=WITH_CI)
def test_ci_commands_are_tasks_or_known_programs(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers)
    if answers["ci"] == "github":
        commands = re.findall(r"\brun: (.+)", text_of(project))
    else:
        parts = [job.get(part, ()) for job in gitlab_jobs(project).values() for part in ("before_script", "script")]
        commands = [command for part in parts for command in part]
    tasks = [command.removeprefix(f"{project.run} ") for command in commands if command.startswith(f"{project.run} ")]
    others = [command for command in commands if not command.startswith(f"{project.run} ")]

    called = {task.split()[0] for task in tasks}
    assert called - {"ci"} == {"check", "validate", "test-local"} <= called <= project.tasks().keys()
    assert [command for command in others if not PROGRAM.match(command)] == []
    assert [command for command in commands if re.search(r"\n|;|&&|\|\||\$\(", command)] == []


@each_of("github")
def test_github_deploys_in_order_and_no_commit_overtakes_another(bake: Bake, answers: dict[str, str]) -> None:
    found = workflows(bake(**answers))
    jobs, order = found["deploy"]["jobs"], ["check", *STACKS]

    # With `if`, a job could run after a failed job.
    assert [job for job, each in jobs.items() if "if" not in each] == order
    assert [each.get("needs") for each in jobs.values()] == [None, *order[:-1]]
    for job, content in jobs.items():
        assert content["concurrency"] == {"group": f"deploy-{job}", "cancel-in-progress": False}
        assert content.get("with", {"stack": job}) == {"stack": job}
    # A concurrency group in the called workflow would wait for its caller's group: a deadlock.
    assert "concurrency" not in found["deploy-stack"]
    plan, deploy = found["deploy-stack"]["jobs"].values()
    assert (deploy["needs"], "if" in plan, "if" in deploy) == ("plan", False, False)
    saved, loaded = plan["steps"][-1]["with"], deploy["steps"][2]["with"]
    assert loaded == {key: saved[key] for key in ("name", "path")}
    # The download may fail: `ci deploy` then says to re-run all jobs.
    assert [step.get("continue-on-error") for step in deploy["steps"]] == [None, None, True, None, None]


@each_of("gitlab")
def test_gitlab_deploys_in_order_and_no_commit_overtakes_another(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers)
    jobs, pipeline = gitlab_jobs(project), project.yaml(".gitlab-ci.yml")

    # Without `needs`, a job waits for all earlier stages.
    assert pipeline["stages"] == ["check", *STACKS]
    assert project.yaml(".gitlab/deploy-stack.yml")["stages"] == ["plan", "deploy"]
    for stack in STACKS:
        job = jobs[stack]
        assert (job["stage"], job["resource_group"], "needs" in job) == (stack, f"deploy-{stack}", False)
        assert job["trigger"]["strategy"] == "depend"
    assert pipeline["workflow"]["rules"][-1]["auto_cancel"] == {"on_new_commit": "none"}
    assert {job for job, each in jobs.items() if each.get("interruptible")} == {"check", "preview"}


@each_of("github", "gitlab")
def test_pulumi_cloud_gets_the_organization_of_the_stacks(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers)
    places = (
        [workflows(project)[name] for name in ("stacks", "deploy-stack")]
        if answers["ci"] == "github"
        else [project.yaml(".gitlab/setup.yml")[".credentials"]]
    )
    expected = {"github": "${{ vars.PULUMI_ORGANIZATION }}", "gitlab": "$PULUMI_ORGANIZATION"}[answers["ci"]]

    found = [place.get("env", place.get("variables", {})).get("PULUMI_DEFAULT_ORGANIZATION") for place in places]
    assert found == [expected if answers["state_backend"] == "pulumi-cloud" else None] * len(places)


@each_of("github", "gitlab")
def test_drift_or_data_loss_can_be_allowed_for_one_stack_and_one_run(bake: Bake, answers: dict[str, str]) -> None:
    text = text_of(bake(**answers))

    assert text.count("options: [none, dev, staging, prod]") == 2
    for name in ("allow_data_loss", "allow_drift"):
        once = f"${{{{ github.run_attempt == 1 && github.event.inputs.{name} || 'none' }}}}"
        assert f"CI_{name.upper()}:{f' {once}' if answers['ci'] == 'github' else ''}\n" in text


def captured(config: dict[str, Any], texts: dict[str, str]) -> list[set[tuple[str, str]]]:
    """Return the names and versions that each of Renovate's custom managers finds in the given files."""
    found = []
    for manager in config["customManagers"]:
        patterns = [re.compile(pattern.strip("/")) for pattern in manager["managerFilePatterns"]]
        matches = [
            match.groupdict()
            for path, text in texts.items()
            if any(pattern.search(path) for pattern in patterns)
            for expression in manager["matchStrings"]
            for match in re.finditer(re.sub(r"\(\?<(?=\w)", "(?P<", expression), text)
        ]
        names = [match.get("depName", manager.get("depNameTemplate", "")) for match in matches]
        found.append({(each, match["currentValue"]) for each, match in zip(names, matches, strict=True)})
    return found


@each_of("github", "gitlab", "none", answers=S3)
def test_renovates_custom_managers_find_every_other_pin(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers)
    check_schema(project, "vendor.renovate", ["renovate.json"])
    emulator = set(re.findall(r'"([a-z0-9]+)==([0-9.]+)"', project.read("tools/emulator.py")))
    manager, system = answers["package_manager"], answers["ci"]
    # On GitHub, uv's version is an input of setup-uv, which Renovate updates without a custom manager.
    tool = set() if (system, manager) == ("github", "uv") else {(manager, getattr(SHARED, f"{manager}_version"))}
    template, runtime = {("template", QUESTIONS["_template_version"])}, {("aws-lambda", CHOICES["lambda_runtime"][0])}
    pins = [emulator, template, runtime, tool, {("pulumi/pulumi", SHARED.pulumi_version)}]
    texts = {each: project.read(each) for each in project.names()}
    # A project that is rendered from a local folder does not record the template's URL.
    texts[".template.json"] = texts[".template.json"].replace('"template": ""', '"template": "https://example.com/t"')

    assert len(emulator) == 2
    assert (
        captured(json.loads(project.read("renovate.json")), texts)
        == pins[: {"none": 3, "gitlab": 4, "github": 5}[system]]
    )


def test_renovate_finds_every_pin_in_the_templates_jinja_files() -> None:
    check_schema(Project(ROOT, {}), "vendor.renovate", ["renovate.json"])
    paths = [*ROOT.glob("templates/*"), *ROOT.glob("{{*/tools/*.py"), *ROOT.glob("{{*/*Pipfile*")]
    texts = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    actions, tools, emulator, packages = captured(json.loads((ROOT / "renovate.json").read_text("utf-8")), texts)
    listed = {re.fullmatch(r"(\S+)@\S+ # (\S+)", action).groups() for action in ACTIONS}  # ty: ignore
    pipfile = next(text for path, text in texts.items() if path.endswith("Pipfile{% endif %}"))

    assert actions == listed
    assert tools == {(tool, getattr(SHARED, f"{tool}_version")) for tool in ("pipenv", "pulumi", "uv")}
    assert {each for each, _ in emulator} == {"ministack", "cbor2"}
    assert {each for each, _ in packages} == set(re.findall(r'^([\w-]+) = (?:"[>=]|\{)', pipfile, flags=re.MULTILINE))
