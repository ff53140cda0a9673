"""The docs of every rendered project are complete, and everything that they name exists."""

import ast
import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from tests.combinations import CHOICES
from tests.projects import Environment, Project

INSTALL = {"uv": "uv sync", "pipenv": "pipenv install --dev"}
# Commands that are not tasks: they list the tasks, and install the git hooks.
RUN = ("poe", "pre-commit install")
README_LINES = 120
# Word limits: WORDS for all docs, as counted by `wc -w`; PAGES for pages or groups, without bare punctuation.
WORDS = 6_500
PAGES = {
    "README.md": 550,
    "CONTRIBUTING.md": 600,
    "AGENTS.md": 200,
    "docs/architecture.md": 450,
    "docs/configuration.md": 950,
    "docs/messages.md docs/alarms.md docs/operations.md": 2_000,
    "docs/continuous-deployment.md bootstrap/README.md": 1_000,
    "docs/validation.md": 350,
    "docs/troubleshooting.md": 200,
    "docs/costs.md": 200,
    "tools/README.md": 100,
}
# Pulumi CLI commands that the docs may use, with valid options: https://www.pulumi.com/docs/iac/cli/commands/
PULUMI = {
    "cancel": {"--stack"},
    "config set": {"--secret", "--stack"},
    "destroy": {"--stack"},
    "login": set(),
    "org set-default": set(),
    "refresh": {"--stack"},
    "state unprotect": {"--all", "--stack"},
    "up": {"--stack"},
}
# AWS CLI commands that differ from the API operations: https://docs.aws.amazon.com/cli/latest/reference/
AWS_CUSTOMIZED = {
    "logs tail": {"--filter-pattern", "--since"},
    "s3 cp": set(),
    "s3 mb": set(),
    "sns subscribe": {"--notification-endpoint", "--protocol", "--topic-arn"},
}
AWS_GLOBAL = {"--output", "--query", "--region"}
# Prints the options that the AWS CLI derives from botocore's models. Its command for S3's API operations is "s3api".
AWS_OPTIONS = """
import json, sys
from botocore import xform_name
from botocore.session import Session

found = {}
for command in sys.argv[1:]:
    service, operation = command.split()
    model = Session().get_service_model(service.removesuffix("api"))
    for name in model.operation_names:
        if xform_name(name, "-") == operation:
            members = model.operation_model(name).input_shape.members
            found[command] = [xform_name(member, "-") for member in members]
print(json.dumps(found))
"""
# Placeholders for the reader's values.
PLACEHOLDERS = {"ACCOUNT", "ALARM_TOPIC_ARN", "BODY", "BUCKET_NAME", "DLQ_ARN", "DLQ_URL"}
PLACEHOLDERS |= {"FUNCTION_NAME", "KEY", "KEY_ID", "MESSAGE_ID", "NAME", "QUEUE_ARN", "QUEUE_URL", "RECEIPT_HANDLE"}
PLACEHOLDERS |= {"REGION", "STACK", "SUBSCRIBER_ARN", "SUFFIX", "TABLE_NAME", "TOKEN", "TOPIC_ARN", "UUID"}
PLACEHOLDERS |= {"VERSION"}
# External names, which do not have to occur in a project's other files.
FOREIGN = {"BucketAlreadyExists", "BucketAlreadyOwnedByYou", "BucketNotEmpty"}
FOREIGN |= {"maxMemoryUsedMB", "memorySizeMB", "pre-commit", "project_id", "repository_id"}
# Suffixes of the CI roles' names.
CI_ROLES = ("ci-preview", "ci-deploy")
WRITTEN_BY_TASKS = (
    ".cruft.json",
    ".local",
    ".pulumi",
    "build/",
    "cfn-outputs/",
    "coverage/",
    "Pipfile.lock",
    "uv.lock",
)
PATH_ENDINGS = (".json", ".lock", ".md", ".py", ".toml", ".yaml")
# Messages of Pulumi and AWS.
FOREIGN_MESSAGES = {"Table already exists", "the stack is currently locked"}
BACKENDS = {
    "pulumi-cloud": r"kept in \[?Pulumi Cloud",
    "s3": r"S3 bucket (for the state|created by)|kept in an S3 bucket",
    "local-file": r"kept in the folder `\.pulumi`",
}


def documents(project: Project) -> dict[str, str]:
    return {name: project.read(name) for name in sorted(project.names()) if name.endswith(".md")}


def everything(project: Project) -> str:
    return "\n".join(documents(project).values())


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", text, flags=re.MULTILINE | re.DOTALL)


def codes(text: str) -> list[str]:
    """Find inline code outside code blocks."""
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`\n]+)`", prose)


def commands(project: Project) -> list[str]:
    text = everything(project)
    lines = [line.strip() for block in blocks(text, "sh") for line in block.splitlines()]
    named = [code for code in codes(text) if code.startswith((f"{project.run} ", "aws ", "pulumi "))]
    # "pulumi is not on the PATH" is a message, not a command.
    return [command for command in [*lines, *named] if command and not command.startswith("pulumi is ")]


def words_and_options(command: str) -> tuple[list[str], set[str]]:
    words = shlex.split(command)
    return [word for word in words if word[0] != "-"], {word for word in words if word.startswith("--")}


def headings(text: str) -> list[str]:
    without_code = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^#+ (.+)$", without_code, flags=re.MULTILINE)


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub derives them."""
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings(text)}


def links(text: str) -> list[str]:
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not link.startswith("https://")]


def source_texts(project: Project) -> Iterator[str]:
    """Yield every string in the project's code except unit tests, with ``...`` for each placeholder of an f-string."""
    for name in project.python_files():
        # Unit tests expect messages, but do not print them.
        if name.startswith("tests/unit/"):
            continue
        for node in ast.walk(ast.parse(project.read(name))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "..." for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def roles(project: Project) -> set[str]:
    """Return the suffixes of the physical names of all resources except alarms."""
    texts = [project.read(name) for name in project.python_files() if name.startswith("infrastructure/")]
    return {role for text in texts for role in re.findall(r"""\.name\(["']([a-z-]+)["']\)""", text)}


def test_docs_stay_within_the_word_limits(project: Project) -> None:
    tokens = {name: text.split() for name, text in documents(project).items()}
    words = {name: [each for each in found if re.search(r"\w", each)] for name, found in tokens.items()}
    counts = {group: sum(len(words.pop(name, ())) for name in group.split()) for group in PAGES}

    assert sum(map(len, tokens.values())) <= WORDS
    assert {group: count for group, count in counts.items() if count > PAGES[group]} == {}
    assert words == {}


def test_every_command_is_a_task_or_a_known_tool(project: Project) -> None:
    tasks = project.tasks()
    for command in commands(project):
        words, options = words_and_options(command)
        if command.startswith(f"{project.run} ") and words[len(project.run.split())] in tasks:
            task, *arguments = words[len(project.run.split()) :]
            if task == "validate":
                continue
            assert len(arguments) <= len(tasks[task].get("args", [])), command
            assert not options, command
        elif words[0] == "pulumi":
            known = next((name for name in PULUMI if f"{command} ".startswith(f"pulumi {name} ")), None)
            assert known, command
            assert options <= PULUMI[known], command
        else:
            others = (INSTALL[project.package_manager], *(f"{project.package_manager} run {each}" for each in RUN))
            assert words[0] in {"aws", "cd", "gh", "git", "glab"} or command.startswith(others), command


@pytest.mark.slow
@pytest.mark.parametrize("backend", CHOICES["state_backend"])
def test_every_aws_cli_command_has_valid_options(
    bake: Callable[..., Project], environment: Environment, backend: str
) -> None:
    project = bake(state_backend=backend)
    called = [command for command in commands(project) if command.startswith("aws ")]
    assert called
    operations = {" ".join(shlex.split(command)[1:3]) for command in called} - set(AWS_CUSTOMIZED)
    finished = environment.run(project, "python", "-c", AWS_OPTIONS, *operations)
    assert finished.returncode == 0, finished.stdout
    known: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])

    for command in called:
        operation = " ".join(shlex.split(command)[1:3])
        assert operation in AWS_CUSTOMIZED or operation in known, command
        allowed = AWS_CUSTOMIZED.get(operation) or {f"--{name}" for name in known.get(operation, [])}
        options = {re.sub(r"^--no-", "--", option) for option in words_and_options(command)[1]}
        assert options <= allowed | AWS_GLOBAL, command


def test_the_other_package_manager_is_not_mentioned(project: Project) -> None:
    others = {"uv": ("pipenv", "pipfile"), "pipenv": ("uv run", "uv.lock", "uv sync")}[project.package_manager]
    text = everything(project).lower()

    assert [other for other in others if other in text] == []


def test_every_name_is_used_by_the_project(project: Project) -> None:
    files = [project.read(name) for name in project.names() if not name.endswith(".md")]
    known = set(re.findall(r"[A-Za-z_][\w-]*", "\n".join(files)))
    known |= {word for command in commands(project) for word in command.split()} | PLACEHOLDERS | FOREIGN
    known |= {f"{project.slug}-SUFFIX-{role}" for role in ("", "ROLE", *CI_ROLES, *roles(project))}
    # The prefix alone, and the CI roles with a placeholder for the prefix.
    known |= {f"{project.slug}-SUFFIX", "PREFIX-", *(f"PREFIX-{role}" for role in CI_ROLES)}
    # GitHub environments for previews.
    known |= {f"{name.split('.')[1]}-preview" for name in project.stack_files()}
    # Check only compound names, because single words are ambiguous.
    compound = re.compile(r"[A-Za-z]+([A-Z][a-z]|[_-])[\w-]*")

    for name, text in documents(project).items():
        assert [code for code in codes(text) if compound.fullmatch(code) and code not in known] == [], name


def has_bootstrap(project: Project) -> bool:
    return "bootstrap/__main__.py" in project.names()


def test_every_setting_in_the_docs_exists(project: Project) -> None:
    named = {code for code in codes(everything(project)) if re.fullmatch(r"[a-z]+([A-Z][a-z]+)+", code)}

    bootstrap = project.yaml("bootstrap/Pulumi.account.yaml")["config"] if has_bootstrap(project) else {}
    assert named <= {*project.yaml("Pulumi.yaml")["config"], *(key.partition(":")[2] for key in bootstrap)}


def test_every_output_in_the_docs_exists(project: Project) -> None:
    named = {code for code in codes(everything(project)) if re.fullmatch(r"[a-z]+(_[a-z]+)*_(arn|name|url)", code)}

    program = project.read("bootstrap/__main__.py") if has_bootstrap(project) else ""
    assert named <= {*project.exports(), *re.findall(r'pulumi\.export\("(\w+)"', program)}


def test_every_path_in_the_docs_exists(project: Project) -> None:
    named = {code for code in codes(everything(project)) if re.fullmatch(r"[\w.-]+(/[\w.-]*)*", code)}
    paths = {code for code in named if "/" in code or code.endswith(PATH_ENDINGS)}
    examples = {path for path in paths if PLACEHOLDERS & set(re.split(r"[./-]", path))}
    examples |= {f"alias/{project.slug}-pulumi-secrets", "alias/aws/sqs"}

    assert paths
    for path in paths - examples:
        assert path.startswith(WRITTEN_BY_TASKS) or (project.path / path).exists(), path


def test_every_link_leads_to_a_file_and_a_heading(project: Project) -> None:
    for name, text in documents(project).items():
        for link in links(text):
            path, _, anchor = link.partition("#")
            target = (PurePosixPath(name).parent / path).as_posix() if path else name
            assert (project.path / target).is_file(), f"{name}: {link}"
            assert not anchor or anchor in anchors(project.read(target)), f"{name}: {link}"


def test_every_page_for_people_is_linked_from_another(project: Project) -> None:
    linked = {
        (project.path / name).parent.joinpath(link.partition("#")[0]).resolve()
        for name, text in documents(project).items()
        for link in links(text)
        if link[0] != "#"
    }

    assert [name for name in documents(project) if (project.path / name).resolve() not in linked] in (
        ["README.md"],
        ["AGENTS.md", "README.md"],
    )


@pytest.fixture(scope="module", name="usage")
def fixture_usage(default_project: Project, environment: Environment) -> str:
    return environment.task(default_project, "validate", "--help").stdout


def test_every_option_and_rule_of_the_validation_exists(project: Project, usage: str) -> None:
    text = everything(project)
    calls = [command for command in commands(project) if command.startswith(f"{project.run} validate")]
    calls += re.findall(rf"run: ({project.run} validate.*)", text)
    used = {option for call in calls for option in words_and_options(call)[1]}
    used |= set(re.findall(r"^\| `(--[a-z-]+)", text, flags=re.MULTILINE))
    rows = re.findall(r"^\| (`[a-z][^|]+) \|", project.read("docs/validation.md"), flags=re.MULTILINE)
    sources = "\n".join([*source_texts(project), project.read("policies.toml")])

    assert calls
    assert [option for option in used if option not in usage] == []
    assert [rule for row in rows for rule in codes(row) if "-" in rule and rule not in sources] == []


def test_the_type_of_the_integration_tests_messages_can_be_filtered_out(default_project: Project) -> None:
    (sent,) = re.findall(r'^TYPE = "(.+)"$', default_project.read("tests/integration/test_workflow.py"), re.MULTILINE)
    (example,) = blocks(default_project.read("docs/messages.md"), "json")

    assert sent != json.loads(example)["type"]
    assert f"exclude `{sent}`" in default_project.read("docs/messages.md").replace("\n", " ")


def test_the_example_policy_reports_a_violation(
    default_project: Project, environment: Environment, tmp_path: Path
) -> None:
    project = default_project.copy(tmp_path)
    (example,) = blocks(project.read("docs/validation.md"), "toml")
    project.replace("policies.toml", "[[unique]]", f"{example}\n[[unique]]")
    project.replace("Pulumi.prod.yaml", "logRetentionDays: 365", "logRetentionDays: 90")

    finished = environment.task(project, "validate", "--quiet")

    assert re.search(r'rule = "([a-z-]+)"', example)[1] in finished.stdout, finished.stdout  # ty: ignore


def test_every_message_in_the_troubleshooting_exists(project: Project) -> None:
    rows = re.findall(r"^\| (`[^|]+) \|", project.read("docs/troubleshooting.md"), flags=re.MULTILINE)
    messages = {message for row in rows for message in codes(row) if " " in message} - FOREIGN_MESSAGES
    sources = list(source_texts(project))

    assert messages
    assert [message for message in messages if not any(message in source for source in sources)] == []


def test_only_the_chosen_backend_is_described(project: Project) -> None:
    for name in ("README.md", "docs/configuration.md"):
        described = [backend for backend, words in BACKENDS.items() if re.search(words, project.read(name))]
        assert described == [project.answers["state_backend"]], name


def test_the_readme_is_one_page_and_runs_locally_before_it_deploys(project: Project) -> None:
    text = project.read("README.md")

    assert "```mermaid" in text
    assert len(text.splitlines()) <= README_LINES
    assert text.index(f"{project.run} local-up") < text.index(f"{project.run} pulumi-create-stack")


def test_the_readme_says_who_owns_each_folder(project: Project) -> None:
    rows = re.findall(r"^\| `(\w+)/` \| (yours|the template's) \|", project.read("README.md"), flags=re.MULTILINE)
    owned = {name.partition("/")[0] for name in json.loads(project.read(".template.json"))["owned"]}
    # Hidden folders belong to GitHub and GitLab; the README lists the docs separately.
    folders = {path.name for path in project.path.iterdir() if path.is_dir() and path.name[0] != "."} - {"docs"}

    assert dict(rows) == {folder: "the template's" if folder in owned else "yours" for folder in folders}


def test_headings_are_surrounded_by_empty_lines(project: Project) -> None:
    """Jinja may remove the empty line after a statement, and so join two paragraphs."""
    for name, text in documents(project).items():
        assert "\n\n\n" not in text, name
        assert not re.search(r"[^\n]\n#+ ", re.sub(r"```.*?```", "", text, flags=re.DOTALL)), name
