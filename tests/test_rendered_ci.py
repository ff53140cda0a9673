"""The workflows of every rendered project are valid and safe, call tasks only, and deploy in order."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise, product
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from filelock import FileLock
from jinja2 import Environment as Templates
from jinja2 import FileSystemLoader

from tests.combinations import CHOICES, ROOT
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
GITHUB = [answers for answers in ALL if answers["ci"] == "github"]
GITLAB = [answers for answers in ALL if answers["ci"] == "gitlab"]
DEPLOYING = [answers for answers in ALL if answers["ci"] != "none" and answers["state_backend"] != "local-file"]

GITHUB_FILES = {".github/actions/setup/action.yml", ".github/workflows/check.yml"}
GITHUB_DEPLOYMENT = {
    ".github/actions/credentials/action.yml",
    ".github/workflows/deploy-stack.yml",
    ".github/workflows/deploy.yml",
    ".github/workflows/drift.yml",
    ".github/workflows/preview.yml",
}
GITLAB_FILES = {".gitlab-ci.yml", ".gitlab/setup.yml"}
GITLAB_DEPLOYMENT = {".gitlab/deploy-stack.yml"}

# What starts each workflow on GitHub. ANY is what people read.
INPUT = {"description": ANY, "type": "string", "required": True}
CHOICE = {"description": ANY, "type": "choice", "options": ["none", *STACKS], "default": "none"}
PUSHED_TO_MAIN = {"push": {"branches": ["main"]}}
TRIGGERS: dict[str, dict[str, Any]] = {
    "check.yml": {"pull_request": None, "workflow_call": None},
    "preview.yml": {"pull_request": None},
    "deploy.yml": PUSHED_TO_MAIN | {"workflow_dispatch": {"inputs": {"allow_data_loss": CHOICE}}},
    "deploy-stack.yml": {"workflow_call": {"inputs": {"stack": INPUT, "allow_data_loss": INPUT}}},
    "drift.yml": {"schedule": [{"cron": "23 3 * * *"}], "workflow_dispatch": None},
}
# Without deployments, no other workflow checks main.
TRIGGERS_WITHOUT_DEPLOYMENT: dict[str, dict[str, Any]] = {"check.yml": {"pull_request": None} | PUSHED_TO_MAIN}
# What starts each pipeline and each job on GitLab. A job without rules is in every pipeline.
MERGE_REQUEST = '$CI_PIPELINE_SOURCE == "merge_request_event"'
FROM_WITHIN = f"{MERGE_REQUEST} && $CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_MERGE_REQUEST_PROJECT_ID"
MAIN = "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"
SCHEDULE, NO_SCHEDULE = (f'$CI_PIPELINE_SOURCE {operator} "schedule"' for operator in ("==", "!="))
PIPELINE_RULES = {
    ".gitlab-ci.yml": [{"if": MERGE_REQUEST}, {"if": MAIN, "auto_cancel": {"on_new_commit": "none"}}],
    ".gitlab/deploy-stack.yml": [{"if": '$CI_PIPELINE_SOURCE == "parent_pipeline"'}],
}
WITHOUT_STATE = {"check": [{"if": NO_SCHEDULE}]}
WITH_STATE = WITHOUT_STATE | {
    "preview": [{"if": FROM_WITHIN}],
    "drift": [{"if": SCHEDULE}],
    **{job: [{"if": f"{MAIN} && {NO_SCHEDULE}"}] for job in ("package", *STACKS)},
    "plan": None,
    "deploy": [{"if": '$STACK == "prod"', "when": "manual"}, {"when": "on_success"}],
}
RULES = {
    "s3": WITH_STATE,
    # Until the organization is set, no job can log in: previews and comparisons are left out, a deployment fails.
    "pulumi-cloud": WITH_STATE
    | {
        "preview": [{"if": f"{FROM_WITHIN} && $PULUMI_ORGANIZATION"}],
        "drift": [{"if": f"{SCHEDULE} && $PULUMI_ORGANIZATION"}],
    },
    "local-file": WITHOUT_STATE,
}
# The permissions of each job on GitHub; the rest of a token's are none.
READ = {"contents": "read"}
IDENTITY = READ | {"id-token": "write"}
PERMISSIONS = {
    "check.yml": {"check": READ},
    "preview.yml": {"preview": IDENTITY, "comment": READ | {"pull-requests": "write"}},
    "deploy.yml": {"check": READ, "package": READ, **dict.fromkeys(STACKS, IDENTITY)},
    "deploy-stack.yml": {"plan": IDENTITY, "deploy": IDENTITY},
    "drift.yml": {"drift": IDENTITY, "report": READ | {"issues": "write"}},
}
# Whether a newer run may cancel an older one.
CANCELLED = {"check.yml": True, "preview.yml": True, "deploy.yml": False, "drift.yml": False}
# The tasks of each job, in their order.
ROLE = {"preview": 'ci-role "$STACK" preview', "deploy": 'ci-role "$STACK" deploy'}
TASKS = {
    "check": ["ci-check"],
    "package": ["ci-package"],
    "preview": ["ci-package", ROLE["preview"], 'ci-preview "$STACK"'],
    "drift": ["ci-package", ROLE["preview"], 'ci-drift "$STACK"'],
    "plan": [ROLE["preview"], 'ci-plan "$STACK"'],
    "deploy": [ROLE["deploy"], 'ci-deploy "$STACK"'],
}
REPORTS = {"comment": ["ci-report preview"], "report": ["ci-report drift"]}
# The minutes after which each job is stopped, on both systems. The job of a stack starts others, which have limits.
MINUTES = {
    "check": 30,
    "package": 15,
    "preview": 20,
    "comment": 10,
    "drift": 20,
    "report": 10,
    "plan": 30,
    "deploy": 120,
}
# The artifacts of each job on GitHub: what it loads before its last task, and what it saves after it.
NOT_CANCELLED = "${{ !cancelled() }}"
LOAD = {"uses": "actions/download-artifact"}
SAVE = {"uses": "actions/upload-artifact"}
LOAD_BUNDLES = LOAD | {"with": {"name": "bundles", "path": "build"}}
# The attempt is a part of the name: a deployment that is run again needs a new plan.
PLAN = "plan-${{ inputs.stack }}-${{ github.run_attempt }}"
REQUIRED = {"if-no-files-found": "error"}
OF_A_STACK = {"path": "build/ci/${{ matrix.stack }}.*", "if-no-files-found": "ignore", "overwrite": True}
OF_ALL_STACKS = {"path": "build/ci", "merge-multiple": True}
LOADED = {
    "plan": [LOAD_BUNDLES],
    "deploy": [LOAD_BUNDLES, LOAD | {"with": {"name": PLAN, "path": "build/ci"}}],
    "comment": [LOAD | {"with": OF_ALL_STACKS | {"pattern": "preview-*"}}],
    "report": [LOAD | {"with": OF_ALL_STACKS | {"pattern": "drift-*"}}],
}
SAVED = {
    "package": [SAVE | {"with": REQUIRED | {"name": "bundles", "path": "build/*.zip", "overwrite": True}}],
    "plan": [SAVE | {"with": REQUIRED | {"name": PLAN, "path": "build/ci/${{ inputs.stack }}.plan.json"}}],
    # Reports are written about stacks that have failed, too.
    **{
        job: [SAVE | {"if": NOT_CANCELLED, "with": OF_A_STACK | {"name": f"{job}-${{{{ matrix.stack }}}}"}}]
        for job in ("preview", "drift")
    },
}
# The artifacts of each job on GitLab.
KEPT: dict[str, Any] = {"expire_in": "30 days"}
KEPT_ALWAYS = KEPT | {"when": "always"}
SAVED_ON_GITLAB = {
    "check": KEPT_ALWAYS | {"paths": ["build/ci/summary.md"]},
    "preview": KEPT_ALWAYS
    | {"paths": ["build/ci/$STACK.md"], "reports": {"terraform": "build/ci/$STACK.terraform.json"}},
    "drift": KEPT_ALWAYS | {"paths": ["build/ci/$STACK.md"]},
    "package": KEPT | {"paths": ["build/*.zip"]},
    "plan": KEPT | {"paths": ["build/ci/$STACK.plan.json", "build/ci/$STACK.md"]},
}
INSTALL = {
    "uv": ["uv sync --locked"],
    "pipenv": [f"python -m pip install pipenv=={SHARED.pipenv_version}", "pipenv sync --dev"],
}
# GitLab's image has Python and the Pulumi CLI. No action logs in to Pulumi Cloud there.
INSTALL_ON_GITLAB = INSTALL | {"uv": [f"python -m pip install uv=={SHARED.uv_version}", *INSTALL["uv"]]}
PULUMI_LOGIN = 'pulumi login --oidc-token "$PULUMI_ID_TOKEN" --oidc-org "$PULUMI_ORGANIZATION"'
# What GitLab and the pipeline itself define: https://docs.gitlab.com/ci/variables/predefined_variables/
GITLAB_PREDEFINED = r"CI_(COMMIT|DEFAULT|MERGE|PIPELINE|PROJECT)_\w+"
GITLAB_OWN = {"AWS_CONFIG_FILE", "AWS_ID_TOKEN", "PARENT_PIPELINE_ID", "PULUMI_BACKEND_URL", "PULUMI_ID_TOKEN"} | {
    "PULUMI_STATE_BUCKET",
    "STACK",
}
WITH_CREDENTIALS = {"preview", "drift", "plan", "deploy"}
# The stack of each job on GitHub that asks for credentials.
STACK_OF = {
    **dict.fromkeys(["preview", "drift"], "${{ matrix.stack }}"),
    **dict.fromkeys(["plan", "deploy"], "${{ inputs.stack }}"),
}
HAS_ROLE = "steps.role.outputs.role != ''"
# The step that gets a token for Pulumi Cloud on GitHub.
PULUMI_CLOUD = {
    "if": HAS_ROLE,
    "uses": SHARED.actions["pulumi_login"].partition(" ")[0],
    "with": {
        "organization": "${{ inputs.organization }}",
        "requested-token-type": "urn:pulumi:token-type:access_token:organization",
    },
}


def name(answers: dict[str, str]) -> str:
    return "-".join(answers.values())


every = pytest.mark.parametrize("answers", ALL, ids=name)
on_github = pytest.mark.parametrize("answers", GITHUB, ids=name)
on_gitlab = pytest.mark.parametrize("answers", GITLAB, ids=name)
deploying = pytest.mark.parametrize("answers", DEPLOYING, ids=name)
deploying_on_github = pytest.mark.parametrize("answers", [a for a in DEPLOYING if a["ci"] == "github"], ids=name)
deploying_on_gitlab = pytest.mark.parametrize("answers", [a for a in DEPLOYING if a["ci"] == "gitlab"], ids=name)


def pipelines(project: Project) -> list[str]:
    """List the files of the workflows."""
    return sorted(each for each in project.names() if each.startswith((".github/", ".gitlab")))


def workflows(project: Project) -> dict[str, dict[Any, Any]]:
    """Parse GitHub's workflows, by the name of the file."""
    files = (each for each in pipelines(project) if each.startswith(".github/workflows/"))
    return {Path(each).name: project.yaml(each) for each in files}


def jobs_on_github(project: Project) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Iterate over GitHub's jobs, with the names of their file and their own."""
    for file, workflow in workflows(project).items():
        for job, content in workflow["jobs"].items():
            yield file, job, content


def steps_on_github(project: Project, job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Iterate over the steps of a job, with those of the project's own actions in place of their call.

    The inputs of such an action are in its steps instead of its expressions.
    """
    for step in job.get("steps", ()):
        if not step.get("uses", "").startswith("$/"):
            yield step
            continue
        action = project.yaml(f"{step['uses'].removeprefix('$/')}/action.yml")
        given = step.get("with", {})
        assert given.keys() == action.get("inputs", {}).keys()
        for inner in action["runs"]["steps"]:
            variables = {key: given.get(_input(value), value) for key, value in inner.get("env", {}).items()}
            yield inner | ({"run": _inserted(inner["run"], variables)} if "run" in inner else {})


def _input(expression: str) -> str:
    found = re.fullmatch(r"\$\{\{ inputs\.([a-z]+) \}\}", expression)
    return found[1] if found else ""


def _inserted(command: str, variables: dict[str, str]) -> str:
    """Insert what is no expression into a command: the purpose of a role."""
    for variable, value in variables.items():
        if "${{" not in value:
            command = command.replace(f'"${variable}"', value)
    return command


def artifacts(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the steps that load or save artifacts, with the name of the action alone."""
    return [step | {"uses": step["uses"].split("@")[0]} for step in steps if "-artifact@" in step.get("uses", "")]


def merged(pipeline: dict[str, Any], job: dict[str, Any]) -> dict[str, Any]:
    """Merge a job of GitLab's with those that it extends."""
    extended = job.get("extends", [])
    bases = [pipeline[base] for base in ([extended] if isinstance(extended, str) else extended)]
    together: dict[str, Any] = {}
    for each in (*bases, job):
        together |= each | {"variables": together.get("variables", {}) | each.get("variables", {})}
    return together


def jobs_on_gitlab(project: Project) -> dict[str, dict[str, Any]]:
    """Return GitLab's jobs of both pipelines, each with what it extends."""
    found = {}
    for file in (GITLAB_FILES | GITLAB_DEPLOYMENT) - {".gitlab/setup.yml"}:
        if file not in project.names():
            continue
        own = project.yaml(file)
        assert own["include"] == [{"local": ".gitlab/setup.yml"}]
        pipeline = project.yaml(".gitlab/setup.yml") | own
        reserved = {"include", "stages", "variables", "workflow"}
        for job, content in own.items():
            if job not in reserved and not job.startswith("."):
                found[job] = merged(pipeline, content)
    return found


def tasks(project: Project, commands: list[str]) -> list[str]:
    """Return the tasks among the commands, and assert that there are no others but those that install or log in."""
    install = (INSTALL if project.answers["ci"] == "github" else INSTALL_ON_GITLAB)[project.package_manager]
    assert commands[: len(install)] == install
    login = f"{project.run} pulumi-login" if project.answers["ci"] == "github" else PULUMI_LOGIN
    called = [command for command in commands[len(install) :] if command != login]
    assert all(command.startswith(f"{project.run} ") for command in called), called
    return [command.removeprefix(f"{project.run} ") for command in called]


def run(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def check_schema(project: Project, schema: str, files: list[str]) -> None:
    finished = run(str(BINARIES / "check-jsonschema"), "--builtin-schema", schema, *files, folder=project.path)
    assert finished.returncode == 0, finished.stdout


# What is rendered


@every
def test_the_pipelines_of_the_chosen_system_are_rendered_and_no_others(bake: Bake, answers: dict[str, str]) -> None:
    expected = {"github": GITHUB_FILES, "gitlab": GITLAB_FILES, "none": set()}[answers["ci"]]
    more = {"github": GITHUB_DEPLOYMENT, "gitlab": GITLAB_DEPLOYMENT, "none": set()}[answers["ci"]]

    assert set(pipelines(bake(**answers))) == (expected | more if answers in DEPLOYING else expected)


@every
def test_no_folder_is_left_empty(bake: Bake, answers: dict[str, str]) -> None:
    assert [path for path in bake(**answers).path.rglob("*") if path.is_dir() and not any(path.iterdir())] == []


@every
def test_a_project_that_ci_does_not_deploy_has_no_roles_for_it(bake: Bake, answers: dict[str, str]) -> None:
    has_roles = (bake(**answers).path / "bootstrap").exists()

    assert not has_roles or answers in DEPLOYING


def test_the_stacks_of_the_workflows_are_those_that_have_a_file(default_project: Project) -> None:
    files = {each.split(".")[1] for each in default_project.names() if re.fullmatch(r"Pulumi\.\w+\.yaml", each)}

    assert files - {"local"} == set(STACKS)
    assert SHARED.stacks == STACKS


# Triggers


@on_github
def test_a_workflow_on_github_starts_for_its_events_alone(bake: Bake, answers: dict[str, str]) -> None:
    # YAML 1.1 reads the key "on" as a truth value.
    found = {file: workflow[True] for file, workflow in workflows(bake(**answers)).items()}

    assert found == (TRIGGERS if answers in DEPLOYING else TRIGGERS_WITHOUT_DEPLOYMENT)


@on_gitlab
def test_a_pipeline_on_gitlab_starts_by_its_rules_alone(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers)
    files = [file for file in PIPELINE_RULES if file in project.names()]

    assert {file: project.yaml(file)["workflow"] for file in files} == {
        file: {"rules": PIPELINE_RULES[file]} for file in files
    }


@on_gitlab
def test_a_job_on_gitlab_starts_by_its_rules_alone(bake: Bake, answers: dict[str, str]) -> None:
    jobs = jobs_on_gitlab(bake(**answers))

    assert {job: content.get("rules") for job, content in jobs.items()} == RULES[answers["state_backend"]]
    # Other keys would decide, too.
    assert [job for job, content in jobs.items() if content.keys() & {"when", "only", "except", "allow_failure"}] == []


# Validity


@on_github
def test_githubs_files_are_valid_by_their_schemas(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers)
    files = pipelines(project)

    check_schema(project, "vendor.github-workflows", [each for each in files if "/workflows/" in each])
    check_schema(project, "vendor.github-actions", [each for each in files if "/actions/" in each])


@on_gitlab
def test_gitlabs_files_are_valid_by_their_schema(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers)

    check_schema(project, "vendor.gitlab-ci", pipelines(project))


@pytest.fixture(scope="session", name="actionlint")
def fixture_actionlint(shared_folder: Path) -> str:
    """The actionlint on the PATH, or one that is built with Go: its package on PyPI downloads it from GitHub."""
    found, go = shutil.which("actionlint"), shutil.which("go")
    if not (found or go):
        pytest.skip("neither actionlint nor Go, which builds it, is on the PATH")
    if found or not go:
        return str(found)
    folder = shared_folder / "go"
    paths = {name: str(folder / name.lower()) for name in ("GOBIN", "GOCACHE", "GOPATH")}
    with FileLock(f"{folder}.lock"):
        command = [go, "install", "-modcacherw", ACTIONLINT]
        subprocess.run(command, check=True, capture_output=True, env=os.environ | paths)
    return str(folder / "gobin" / "actionlint")


@pytest.mark.slow
@on_github
def test_actionlint_finds_no_problems(bake: Bake, answers: dict[str, str], tmp_path: Path, actionlint: str) -> None:
    project = bake(**answers).copy(tmp_path)
    (project.path / ".git").mkdir()
    # actionlint 1.7.12 does not know "$/", and checks the inputs of "./".
    for file in pipelines(project):
        text = project.read(file)
        (project.path / file).write_text(text.replace("uses: $/", "uses: ./"), encoding="utf-8")

    finished = run(actionlint, folder=project.path)

    assert finished.returncode == 0, finished.stdout


@on_github
def test_zizmor_finds_no_problems(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers)
    command = (str(BINARIES / "zizmor"), "--offline", "--no-progress", "--persona", "pedantic", ".github")

    finished = run(*command, folder=project.path)

    assert finished.returncode == 0, finished.stdout


# Pins


@on_github
def test_every_action_is_in_the_list_with_its_commit_and_version(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers)
    used = {use for file in pipelines(project) for use in re.findall(r"uses: (?!\$/)(.+)", project.read(file))}

    assert used
    assert used <= set(ACTIONS)


def test_every_action_in_the_list_is_used(bake: Bake) -> None:
    rendered = [bake(**answers) for answers in GITHUB]
    text = "\n".join(project.read(file) for project in rendered for file in pipelines(project))

    assert [action for action in ACTIONS if f"uses: {action}\n" not in text] == []


def test_every_action_is_once_in_the_list_pinned_by_its_commit_with_the_version_beside_it() -> None:
    names = [action.partition("@")[0] for action in ACTIONS]

    assert len(names) == len(set(names)) == 8
    assert [each for each in ACTIONS if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)] == []


def test_the_templates_own_workflow_uses_the_same_versions() -> None:
    text = (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")

    assert set(re.findall(r"uses: (.+)", text)) <= set(ACTIONS)


@pytest.mark.parametrize("answers", [a for a in ALL if a["ci"] != "none"], ids=name)
def test_the_runner_the_image_and_every_tool_are_pinned(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers)
    text = "\n".join(project.read(file) for file in pipelines(project))
    versions = re.findall(r"""(?:version: "|\w==|image: \S+:|runs-on: \w+-)([^\s"]*)""", text)

    assert {SHARED.pulumi_version, getattr(SHARED, f"{answers['package_manager']}_version")} <= set(versions)
    assert [version for version in versions if not re.fullmatch(r"\d+(\.\d+)+", version)] == []
    assert "latest" not in text


# Rights


@on_github
def test_a_workflow_gives_its_jobs_no_permissions_but_those_that_each_needs(
    bake: Bake, answers: dict[str, str]
) -> None:
    project = bake(**answers)

    assert [file for file, workflow in workflows(project).items() if workflow["permissions"] != {}] == []
    for file, job, content in jobs_on_github(project):
        assert content["permissions"] == PERMISSIONS[file][job], f"{file}: {job}"


@deploying_on_github
def test_every_job_with_an_identity_uses_it_and_no_other_job_asks_for_credentials(
    bake: Bake, answers: dict[str, str]
) -> None:
    project = bake(**answers)

    for file, job, content in jobs_on_github(project):
        if "uses" in content:
            continue
        asks = any("ci-role" in step.get("run", "") for step in steps_on_github(project, content))
        assert asks is ("id-token" in content["permissions"]), f"{file}: {job}"


@on_github
def test_no_workflow_runs_code_of_a_fork_with_the_rights_of_the_repository(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers)
    # YAML 1.1 reads the key "on" as a truth value.
    events = {event for workflow in workflows(project).values() for event in workflow[True]}

    assert events <= {"pull_request", "push", "schedule", "workflow_call", "workflow_dispatch"}
    assert all(
        step["with"]["persist-credentials"] is False
        for _, _, job in jobs_on_github(project)
        for step in job.get("steps", ())
        if step.get("uses", "").startswith("actions/checkout@")
    )


@deploying_on_github
def test_credentials_are_asked_for_only_with_a_role_and_bound_to_its_account(
    bake: Bake, answers: dict[str, str]
) -> None:
    role, aws, *_ = bake(**answers).yaml(".github/actions/credentials/action.yml")["runs"]["steps"]

    assert (role["id"], aws["if"]) == ("role", HAS_ROLE)
    assert aws["with"] == {
        "role-to-assume": "${{ steps.role.outputs.role }}",
        "role-duration-seconds": "${{ inputs.purpose == 'deploy' && 7200 || 3600 }}",
        "aws-region": "${{ steps.role.outputs.region }}",
        "allowed-account-ids": "${{ steps.role.outputs.account }}",
    }


@deploying_on_github
def test_github_logs_in_to_the_state_with_the_credentials_of_the_role(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers)
    _, _, *steps = project.yaml(".github/actions/credentials/action.yml")["runs"]["steps"]
    login = {"if": HAS_ROLE, "run": f"{project.run} pulumi-login", "shell": "bash"}

    assert steps == ([PULUMI_CLOUD, login] if answers["state_backend"] == "pulumi-cloud" else [login])


@deploying_on_github
def test_a_job_on_github_asks_for_the_credentials_of_its_stack(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers)
    organization = {"organization": "${{ vars.PULUMI_ORGANIZATION }}"}
    more = organization if answers["state_backend"] == "pulumi-cloud" else {}
    found = {
        job: (content["env"], step["with"])
        for _, job, content in jobs_on_github(project)
        for step in content.get("steps", ())
        if step.get("uses") == "$/.github/actions/credentials"
    }

    assert found == {
        job: ({"STACK": stack}, {"stack": stack, "purpose": "deploy" if job == "deploy" else "preview"} | more)
        for job, stack in STACK_OF.items()
    }


@deploying_on_github
def test_only_the_reports_write_to_github_as_the_workflow(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers)
    found = {
        (job, step.get("run")): step.get("env")
        for _, job, content in jobs_on_github(project)
        for step in content.get("steps", ())
        if "github.token" in str(step)
    }

    assert found == {
        (job, f"{project.run} {task}"): {"GH_TOKEN": "${{ github.token }}"} for job, (task,) in REPORTS.items()
    }


@deploying
def test_a_deployment_may_take_as_long_as_its_credentials_are_valid(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers)
    if answers["ci"] == "github":
        assert workflows(project)["deploy-stack.yml"]["jobs"]["deploy"]["timeout-minutes"] * 60 == 7200
    else:
        assert jobs_on_gitlab(project)["deploy"]["timeout"] == "2 hours"


@deploying_on_gitlab
def test_jobs_on_gitlab_get_an_identity_only_if_they_need_it_and_never_for_a_fork(
    bake: Bake, answers: dict[str, str]
) -> None:
    jobs = jobs_on_gitlab(bake(**answers))
    (previewed,) = jobs["preview"]["rules"]

    assert {job for job, content in jobs.items() if "id_tokens" in content} == WITH_CREDENTIALS
    assert '$CI_PIPELINE_SOURCE == "merge_request_event"' in previewed["if"]
    assert "$CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_MERGE_REQUEST_PROJECT_ID" in previewed["if"]


@deploying_on_gitlab
def test_the_identity_of_a_job_on_gitlab_is_for_those_who_accept_it(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers)
    jobs = jobs_on_gitlab(project)
    (audience,) = re.findall(r'"gitlab": Issuer\("[^"]+", "([^"]+)"\)', project.read("bootstrap/trust.py"))
    expected = {"AWS_ID_TOKEN": {"aud": audience}}
    if answers["state_backend"] == "pulumi-cloud":
        expected["PULUMI_ID_TOKEN"] = {"aud": "urn:pulumi:org:$PULUMI_ORGANIZATION"}

    assert {job: jobs[job]["id_tokens"] for job in WITH_CREDENTIALS} == dict.fromkeys(WITH_CREDENTIALS, expected)


@deploying_on_gitlab
def test_a_job_on_gitlab_finds_the_state_where_the_login_of_a_person_finds_it(
    bake: Bake, answers: dict[str, str]
) -> None:
    project = bake(**answers)
    jobs = jobs_on_gitlab(project)
    login = project.tasks()["pulumi-login"]
    expected = {"AWS_CONFIG_FILE": "$CI_PROJECT_DIR/build/aws/config"}
    if answers["state_backend"] == "s3":
        expected["PULUMI_STATE_BUCKET"] = login["env"]["PULUMI_STATE_BUCKET"]["default"]
        expected["PULUMI_BACKEND_URL"] = login["cmd"].split('"')[1]

    for job in WITH_CREDENTIALS:
        variables = {key: value for key, value in jobs[job]["variables"].items() if key != "GIT_DEPTH"}
        assert variables == expected, job


@deploying_on_gitlab
def test_gitlab_logs_in_to_pulumi_cloud_before_every_task_that_needs_it(bake: Bake, answers: dict[str, str]) -> None:
    jobs = jobs_on_gitlab(bake(**answers))
    expected = WITH_CREDENTIALS if answers["state_backend"] == "pulumi-cloud" else set()

    assert {job for job, content in jobs.items() if PULUMI_LOGIN in content.get("script", ())} == expected
    # The last task of these jobs is the one that needs the state.
    assert {job for job, content in jobs.items() if PULUMI_LOGIN in content.get("script", ())[:-1]} == expected


@on_github
def test_only_what_the_documents_name_must_be_set_on_github(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers)
    text = "\n".join(project.read(file) for file in pipelines(project))
    variables = set(re.findall(r"\bvars\.(\w+)", text))
    asked = set(re.findall(r"\binputs\.(\w+_\w+)", text))

    assert "secrets" not in text
    assert variables == ({"PULUMI_ORGANIZATION"} if answers["state_backend"] == "pulumi-cloud" else set())
    assert all(f"`{each}`" in project.read("docs/continuous-deployment.md") for each in variables | asked)


@on_gitlab
def test_only_what_the_documents_name_must_be_set_on_gitlab(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers)
    text = "\n".join(project.read(file) for file in pipelines(project))
    variables = set(re.findall(r"\$\{?([A-Z]\w+)", text)) - GITLAB_OWN
    variables = {each for each in variables if not re.fullmatch(GITLAB_PREDEFINED, each)}
    asked = set(project.yaml(".gitlab-ci.yml").get("variables", {}))

    assert variables == ({"PULUMI_ORGANIZATION"} if answers["state_backend"] == "pulumi-cloud" else set())
    assert all(f"`{each}`" in project.read("docs/continuous-deployment.md") for each in variables | asked)


# Tasks


@on_github
def test_every_command_on_github_is_a_task_or_installs_what_is_locked(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers)
    known = TASKS | REPORTS

    for file, job, content in jobs_on_github(project):
        if "uses" not in content:
            commands = [step["run"] for step in steps_on_github(project, content) if "run" in step]
            assert tasks(project, commands) == known[job], f"{file}: {job}"


@on_gitlab
def test_every_command_on_gitlab_is_a_task_or_installs_what_is_locked(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers)

    for job, content in jobs_on_gitlab(project).items():
        if "trigger" not in content:
            assert tasks(project, [*content["before_script"], *content["script"]]) == TASKS[job], job


def test_every_task_that_a_workflow_calls_exists_and_each_for_workflows_is_called(default_project: Project) -> None:
    called = {command.split()[0] for commands in (*TASKS.values(), *REPORTS.values()) for command in commands}

    assert called == {task for task in default_project.tasks() if task.startswith("ci-")}


@on_github
def test_every_job_on_github_has_its_time_limit_and_a_name(bake: Bake, answers: dict[str, str]) -> None:
    for file, job, content in jobs_on_github(bake(**answers)):
        assert content["name"], f"{file}: {job}"
        # One that calls a workflow has the limits of that one's jobs.
        expected = None if "uses" in content else MINUTES[job]
        assert content.get("timeout-minutes") == expected, f"{file}: {job}"


@on_gitlab
def test_every_job_on_gitlab_has_its_time_limit(bake: Bake, answers: dict[str, str]) -> None:
    units = {"minutes": 1, "hours": 60}

    for job, content in jobs_on_gitlab(bake(**answers)).items():
        number, unit = content.get("timeout", "0 minutes").split()
        assert int(number) * units[unit] == (0 if "trigger" in content else MINUTES[job]), job


# Deployments


@deploying_on_github
def test_github_deploys_the_stacks_in_order_after_the_check_and_with_one_bundle(
    bake: Bake, answers: dict[str, str]
) -> None:
    project = bake(**answers)
    found = workflows(project)
    jobs = found["deploy.yml"]["jobs"]
    order = ["check", "package", *STACKS]

    assert list(jobs) == order
    assert [(job, jobs[job].get("needs")) for job in order] == [("check", None), *((b, a) for a, b in pairwise(order))]
    # A condition could let a job run after a failure.
    assert [job for job in order if "if" in jobs[job]] == []
    assert jobs["check"]["uses"] == "$/.github/workflows/check.yml"
    for stack in STACKS:
        assert jobs[stack]["uses"] == "$/.github/workflows/deploy-stack.yml"
        assert jobs[stack]["with"]["stack"] == stack
    packaging = [file for file, job, _ in jobs_on_github(project) if job == "package"]
    assert packaging == ["deploy.yml"]


@deploying_on_github
def test_github_plans_before_the_approval_and_deploys_after_it(bake: Bake, answers: dict[str, str]) -> None:
    plan, deploy = workflows(bake(**answers))["deploy-stack.yml"]["jobs"].values()

    assert ("environment" in plan, deploy["environment"]) == (False, "${{ inputs.stack }}")
    assert (deploy["needs"], "if" in plan, "if" in deploy) == ("plan", False, False)


@on_github
def test_github_loads_files_before_the_task_that_reads_them_and_saves_those_that_it_writes(
    bake: Bake, answers: dict[str, str]
) -> None:
    for file, job, content in jobs_on_github(bake(**answers)):
        steps = content.get("steps", [])
        last = max((place for place, step in enumerate(steps) if "run" in step), default=0)
        assert artifacts(steps[:last]) == LOADED.get(job, []), f"{file}: {job}"
        assert artifacts(steps[last:]) == SAVED.get(job, []), f"{file}: {job}"


@on_gitlab
def test_gitlab_saves_the_files_that_the_next_jobs_and_people_read(bake: Bake, answers: dict[str, str]) -> None:
    for job, content in jobs_on_gitlab(bake(**answers)).items():
        assert content.get("artifacts") == SAVED_ON_GITLAB.get(job), job


@deploying
def test_only_the_plan_which_compares_commits_has_all_of_them(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers)
    if answers["ci"] == "github":
        depths = {
            job: step["with"]["fetch-depth"]
            for _, job, content in jobs_on_github(project)
            for step in content.get("steps", ())
            if "fetch-depth" in step.get("with", ())
        }
    else:
        jobs = jobs_on_gitlab(project).items()
        depths = {
            job: content["variables"]["GIT_DEPTH"] for job, content in jobs if "GIT_DEPTH" in content["variables"]
        }

    assert depths == {"plan": 0}


@deploying_on_github
def test_github_lets_a_stack_have_one_deployment_at_a_time_and_cancels_none(
    bake: Bake, answers: dict[str, str]
) -> None:
    found = workflows(bake(**answers))
    jobs = found["deploy.yml"]["jobs"]

    for stack in STACKS:
        assert jobs[stack]["concurrency"] == {"group": f"deploy-{stack}", "cancel-in-progress": False}
    # A lock of the called workflow's own would wait for the one that its caller has.
    assert "concurrency" not in found["deploy-stack.yml"]
    # A run that waits for the approval of prod does not keep the next one from dev.
    assert found["deploy.yml"]["concurrency"]["group"] == "deploy-run-${{ github.run_id }}"


@on_github
def test_a_newer_run_cancels_an_older_one_only_on_a_pull_request(bake: Bake, answers: dict[str, str]) -> None:
    found = workflows(bake(**answers))
    cancelled = {
        file: each["concurrency"]["cancel-in-progress"] for file, each in found.items() if "concurrency" in each
    }

    assert cancelled == {file: CANCELLED[file] for file in found if file in CANCELLED}
    # The check of main has a group for each run, so that it cancels none.
    assert found["check.yml"]["concurrency"]["group"] == (
        "check-${{ github.event.pull_request.number || github.run_id }}"
    )


@deploying_on_gitlab
def test_gitlab_deploys_the_stacks_in_order_after_the_check_and_with_one_bundle(
    bake: Bake, answers: dict[str, str]
) -> None:
    project = bake(**answers)
    pipeline = project.yaml(".gitlab-ci.yml")
    jobs = jobs_on_gitlab(project)
    order = ["check", "package", *STACKS]

    assert pipeline["stages"] == order
    # A job without needs waits for all jobs of the stages before.
    assert [(jobs[job]["stage"], "needs" in jobs[job]) for job in order] == [(job, False) for job in order]
    assert [job for job in order if "allow_failure" in jobs[job] or "when" in jobs[job]] == []
    for stack in STACKS:
        assert jobs[stack]["trigger"] == {
            "include": ".gitlab/deploy-stack.yml",
            "strategy": "depend",
            "forward": {"pipeline_variables": True},
        }
        # The started pipeline has another source; the plan asks whether a person has started this one.
        assert jobs[stack]["variables"] == {
            "PARENT_PIPELINE_ID": "$CI_PIPELINE_ID",
            "PARENT_PIPELINE_SOURCE": "$CI_PIPELINE_SOURCE",
            "STACK": stack,
        }


@deploying_on_gitlab
def test_gitlab_plans_before_the_approval_and_deploys_after_it_with_the_same_files(
    bake: Bake, answers: dict[str, str]
) -> None:
    jobs = jobs_on_gitlab(bake(**answers))
    plan, deploy = jobs["plan"], jobs["deploy"]
    bundles = {"pipeline": "$PARENT_PIPELINE_ID", "job": "package"}

    assert ("environment" in plan, deploy["environment"]) == (False, "$STACK")
    assert (plan["needs"], deploy["needs"]) == ([bundles], ["plan", bundles])


@deploying_on_gitlab
def test_on_gitlab_only_prod_is_deployed_by_hand(bake: Bake, answers: dict[str, str]) -> None:
    jobs = jobs_on_gitlab(bake(**answers))
    manual = {job for job, content in jobs.items() if "'manual'" in str(content)}

    assert manual == {"deploy"}
    assert jobs["deploy"]["rules"] == [{"if": '$STACK == "prod"', "when": "manual"}, {"when": "on_success"}]


@deploying_on_gitlab
def test_no_job_on_gitlab_is_manual_and_may_fail(bake: Bake, answers: dict[str, str]) -> None:
    """The pipeline would not wait for it: https://docs.gitlab.com/ci/jobs/job_control/#types-of-manual-jobs."""
    for job, content in jobs_on_gitlab(bake(**answers)).items():
        # Without rules, a manual job may fail unless it says otherwise; with them, it may not.
        assert content.get("when") != "manual" or content.get("allow_failure") is False, job
        for rule in content.get("rules", ()):
            may_fail = rule.get("allow_failure", content.get("allow_failure", False))
            assert rule.get("when") != "manual" or may_fail is False, job


@deploying_on_gitlab
def test_gitlab_lets_a_stack_have_one_deployment_at_a_time_and_cancels_none(
    bake: Bake, answers: dict[str, str]
) -> None:
    project = bake(**answers)
    jobs = jobs_on_gitlab(project)
    *_, on_main = project.yaml(".gitlab-ci.yml")["workflow"]["rules"]

    assert [jobs[stack]["resource_group"] for stack in STACKS] == [f"deploy-{stack}" for stack in STACKS]
    assert on_main["auto_cancel"] == {"on_new_commit": "none"}
    assert {job for job, content in jobs.items() if content.get("interruptible")} == {"check", "preview"}


@deploying
def test_every_stack_is_previewed_and_compared_and_one_does_not_stop_another(
    bake: Bake, answers: dict[str, str]
) -> None:
    project = bake(**answers)
    if answers["ci"] == "github":
        jobs = {job: content for _, job, content in jobs_on_github(project)}
        for job in ("preview", "drift"):
            assert jobs[job]["strategy"] == {"fail-fast": False, "matrix": {"stack": STACKS}}
        # Reports are written about stacks that have failed, too.
        found = {job: (jobs[job]["needs"], jobs[job]["if"]) for job in REPORTS}
        assert found == {"comment": ("preview", NOT_CANCELLED), "report": ("drift", NOT_CANCELLED)}
    else:
        jobs = jobs_on_gitlab(project)
        for job in ("preview", "drift"):
            assert jobs[job]["parallel"] == {"matrix": [{"STACK": STACKS}]}


@deploying
def test_data_may_be_lost_only_if_a_person_has_named_the_stack_for_this_run(
    bake: Bake, answers: dict[str, str]
) -> None:
    project = bake(**answers)
    if answers["ci"] == "github":
        choice = workflows(project)["deploy.yml"][True]["workflow_dispatch"]["inputs"]["allow_data_loss"]
        (step,) = [s for _, _, job in jobs_on_github(project) for s in job.get("steps", ()) if "CI_ALLOW" in str(s)]
        assert (choice["default"], choice["options"]) == ("none", ["none", *STACKS])
        assert step["run"].endswith('ci-plan "$STACK"')
        assert step["env"] == {"CI_ALLOW_DATA_LOSS": "${{ inputs.allow_data_loss }}"}
        passed = {job["with"]["allow_data_loss"] for _, _, job in jobs_on_github(project) if "with" in job}
        # Not for a run that is run again.
        assert passed == {"${{ github.run_attempt == 1 && inputs.allow_data_loss || 'none' }}"}
    else:
        choice = project.yaml(".gitlab-ci.yml")["variables"]["CI_ALLOW_DATA_LOSS"]
        assert (choice["value"], choice["options"]) == ("none", ["none", *STACKS])


# Updates


def captured(config: dict[str, Any], texts: dict[str, str]) -> list[set[tuple[str, str]]]:
    """Apply Renovate's custom managers to files, and return what each finds: names and versions."""
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


@every
def test_renovate_accepts_its_configuration(bake: Bake, answers: dict[str, str]) -> None:
    check_schema(bake(**answers), "vendor.renovate", ["renovate.json"])


@every
def test_renovate_finds_every_pin_that_is_not_in_a_file_that_it_knows(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers)
    config = json.loads(project.read("renovate.json"))
    emulator = dict(re.findall(r'"([a-z0-9]+)==([0-9.]+)"', project.read("tools/emulator.py")))
    expected = [set(emulator.items()), {("aws-lambda", CHOICES["lambda_runtime"][0])}]
    manager = answers["package_manager"]
    if answers["ci"] == "gitlab" or (answers["ci"], manager) == ("github", "pipenv"):
        expected.append({(manager, getattr(SHARED, f"{manager}_version"))})
    elif answers["ci"] == "github":
        # uv's version is an input of its action, which Renovate knows.
        expected.append(set())
    if answers["ci"] == "github":
        expected.append({("pulumi/pulumi", SHARED.pulumi_version)})

    assert len(emulator) == 2
    assert captured(config, {each: project.read(each) for each in project.names()}) == expected


@every
def test_renovate_waits_a_week_and_updates_the_provider_with_the_emulator(bake: Bake, answers: dict[str, str]) -> None:
    config = json.loads(bake(**answers).read("renovate.json"))
    rules = config["packageRules"]
    (together,) = [rule for rule in rules if "pulumi-aws" in rule.get("matchPackageNames", ())]
    (packages,) = [rule for rule in rules if "pep621" in rule.get("matchManagers", ())]

    assert (config["minimumReleaseAge"], config["internalChecksFilter"]) == ("7 days", "strict")
    assert set(together["matchPackageNames"]) == {"pulumi-aws", "ministack", "cbor2"}
    # The last rule that matches decides.
    assert rules.index(together) > rules.index(packages)


def test_renovate_finds_every_pin_of_the_template_that_is_in_a_jinja_file() -> None:
    config = json.loads((ROOT / "renovate.json").read_text(encoding="utf-8"))
    folders = ("templates", "{{cookiecutter.project_slug}}")
    texts = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    actions, tools, emulator, packages = captured(config, texts)
    listed = {re.fullmatch(r"(\S+)@\S+ # (\S+)", action).groups() for action in ACTIONS}  # ty: ignore
    pipfile = next(text for path, text in texts.items() if path.endswith("Pipfile{% endif %}"))

    assert actions == listed
    assert tools == {(tool, getattr(SHARED, f"{tool}_version")) for tool in ("pipenv", "pulumi", "uv")}
    assert {each for each, _ in emulator} == {"ministack", "cbor2"}
    assert {each for each, _ in packages} == set(re.findall(r'^([\w-]+) = (?:"[>=]|\{)', pipfile, flags=re.MULTILINE))


def test_renovate_accepts_the_templates_configuration() -> None:
    command = (str(BINARIES / "check-jsonschema"), "--builtin-schema", "vendor.renovate", "renovate.json")

    finished = run(*command, folder=ROOT)

    assert finished.returncode == 0, finished.stdout
