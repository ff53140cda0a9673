"""The documents of every rendered project are complete, and everything that they name exists."""

import ast
import itertools
import json
import re
import runpy
import shlex
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from tests.combinations import CHOICES, ROOT
from tests.projects import Environment, Project

INSTALL = {"uv": "uv sync", "pipenv": "pipenv install --dev"}
README_LINES = 120
CI_TASK = "ci-"
# What the documents may call of Pulumi, with the options that exist: https://www.pulumi.com/docs/iac/cli/commands/
PULUMI = {
    "cancel": {"--stack"},
    "config set": {"--secret", "--stack"},
    "destroy": set(),
    "import": {"--file", "--generate-code=false", "--parent", "--stack"},
    "org set-default": set(),
    "refresh": {"--stack"},
    "state unprotect": {"--all", "--stack"},
    "up": set(),
}
PYTEST = {"--no-cov"}
# What the AWS CLI has besides AWS's operations: https://docs.aws.amazon.com/cli/latest/reference/
AWS_CUSTOMIZED = {
    "logs tail": {"--filter-pattern", "--since"},
    "s3 cp": set(),
    "s3 mb": set(),
    "sns subscribe": {"--notification-endpoint", "--protocol", "--topic-arn"},
}
AWS_GLOBAL = {"--output", "--query", "--region"}
# Lists the options of AWS's operations. The AWS CLI derives them from botocore's models; it calls s3 s3api.
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
# Prints what the program registers for production, and why the settings refuse a batch that is too large.
RECORD = """
import json, sys
from dataclasses import asdict
from infrastructure.settings import Settings
from tools.testing import run_program, stack_config

resources = [asdict(resource) for resource in run_program(stack_config("prod"), "prod").resources]
(refused,) = Settings.contradictions({"batchSize": 10_000, "lambdaTimeoutSeconds": int(sys.argv[1])})
print(json.dumps({"resources": resources, "batch": refused.allowed}, default=str))
"""
# Prices in USD in us-east-1: for a million requests, writes or invocations, for a GB and second of the function, and
# for a metric or an alarm's metric in a month. https://calculator.aws
SQS_REQUESTS = 0.40
DYNAMODB_WRITES = 0.625
LAMBDA_INVOCATIONS = 0.20
LAMBDA_GB_SECOND = 0.0000133334
METRIC = 0.30
ALARM_METRIC = 0.10
MILLION = 1_000_000
DAY_SECONDS = 86_400
MONTH_SECONDS = 30 * DAY_SECONDS
KIB = 1024
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
POLLERS = 5
POLL_SECONDS = 20
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
PARTITION_WRITES = 1000
# Placeholders for the reader's values.
PLACEHOLDERS = {
    "ACCOUNT",
    "ACCOUNT_ID",
    "ALARM_TOPIC_ARN",
    "BODY",
    "BUCKET_NAME",
    "DATE",
    "DLQ_ARN",
    "DLQ_URL",
    "FUNCTION_NAME",
    "KEY",
    "KEY_ID",
    "MESSAGE_ID",
    "NAME",
    "QUEUE_ARN",
    "QUEUE_URL",
    "RECEIPT_HANDLE",
    "REGION",
    "ROLE",
    "STACK",
    "SUBSCRIBER_ARN",
    "SUFFIX",
    "TABLE_NAME",
    "TOKEN",
    "TOPIC_ARN",
    "UUID",
    "VERSION",
}
# Names of Pulumi and AWS that no file of a project uses.
FOREIGN = {
    "BucketAlreadyExists",
    "BucketAlreadyOwnedByYou",
    "BucketNotEmpty",
    "PULUMI_SKIP_CONFIRMATIONS",
    "pre-commit",
    "project_id",
    "repository_id",
}
# Ends of the names of the roles that CI has, which `ci-role` derives.
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
# Sections of the troubleshooting with messages of other programs.
FOREIGN_MESSAGES = {"Pulumi and AWS", "No message"}
MONITORING = "infrastructure/monitoring.py"
TEMPLATE_FOLDER = ROOT / "{{cookiecutter.project_slug}}"
BACKENDS = {
    "pulumi-cloud": "kept in [Pulumi Cloud]",
    "s3": "kept in an S3 bucket",
    "local-file": "kept in the folder `.pulumi`",
}


def documents(project: Project) -> dict[str, str]:
    return {name: project.read(name) for name in sorted(project.names()) if name.endswith(".md")}


def everything(project: Project) -> str:
    return "\n".join(documents(project).values())


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", text, flags=re.MULTILINE | re.DOTALL)


def codes(text: str) -> list[str]:
    """Find inline code in running text and tables."""
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`\n]+)`", prose)


def commands(project: Project) -> list[str]:
    """Find every command in blocks of shell code, and every one in running text."""
    text = everything(project)
    lines = [line.strip() for block in blocks(text, "sh") for line in block.splitlines()]
    named = [code for code in codes(text) if code.startswith((f"{project.run} ", "aws ", "pulumi "))]
    # Anything else is a message of Pulumi.
    return [command for command in [*lines, *named] if command and not command.startswith("pulumi is ")]


def words_and_options(command: str) -> tuple[list[str], set[str]]:
    words = shlex.split(command)
    return [word for word in words if word[0] != "-"], {word for word in words if word.startswith("--")}


def section(text: str, title: str, level: int = 2) -> str:
    """Return the text under a heading."""
    marks = "#" * level
    found = re.search(rf"^{marks} {re.escape(title)}\n(.*?)(?=^#{{1,{level}}} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"there is no section {title}"
    return found[1]


def table(text: str, name: str) -> list[list[str]]:
    """Return the rows of the table between markers with this name."""
    found = re.findall(rf"^<!-- {name}: begin.*? -->\n(.*?)^<!-- {name}: end -->$", text, re.MULTILINE | re.DOTALL)
    assert len(found) == 1, f"{len(found)} tables {name}"
    return [re.split(r" ?\| ?", line)[1:-1] for line in found[0].splitlines()[2:]]


def headings(text: str) -> list[str]:
    without_code = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^#+ (.+)$", without_code, flags=re.MULTILINE)


def anchors(text: str) -> set[str]:
    """Return the anchors of a document's headings, as GitHub derives them."""
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings(text)}


def links(text: str) -> list[str]:
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not link.startswith("https://")]


def exports(project: Project) -> list[str]:
    return re.findall(r'^pulumi\.export\("(\w+)", ', project.read("__main__.py"), flags=re.MULTILINE)


def trees(project: Project) -> Iterator[ast.Module]:
    return (ast.parse(project.read(name)) for name in project.python_files())


def source_texts(project: Project) -> Iterator[str]:
    """Return every text in the project's code, with three dots for each value."""
    for name in project.python_files():
        # Unit tests expect messages, but do not print them.
        if name.startswith("tests/unit/"):
            continue
        for node in ast.walk(ast.parse(project.read(name))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "..." for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def alarms(project: Project) -> list[str]:
    """Find the names of the alarms that the program declares."""
    tree = ast.parse(project.read(MONITORING))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    declared = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Alarm"]
    names = [ast.literal_eval(word.value) for call in declared for word in call.keywords if word.arg == "name"]
    assert names
    return names


def runbooks(project: Project) -> str:
    """Return the page that the alarms' descriptions lead to."""
    (page,) = re.findall(r'^RUNBOOKS = "(.+)"$', project.read(MONITORING), flags=re.MULTILINE)
    return project.read(page)


def roles(project: Project) -> set[str]:
    """Return the ends of physical names, except for alarms."""
    texts = [project.read(name) for name in project.python_files() if name.startswith("infrastructure/")]
    return {role for text in texts for role in re.findall(r"""context\.name\(["']([a-z-]+)["']\)""", text)}


def test_every_command_is_a_task_or_a_known_tool(project: Project) -> None:
    tasks = project.tasks()
    for command in commands(project):
        words, options = words_and_options(command)
        if command.startswith(f"{project.package_manager} run pytest "):
            assert options <= PYTEST, command
        elif command.startswith(f"{project.run} ") and words[len(project.run.split())] in tasks:
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
            installs_hooks = command.startswith(f"{project.package_manager} run pre-commit install")
            assert words[0] in {"aws", "cd"} or command == INSTALL[project.package_manager] or installs_hooks, command


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


def table_of_tasks(project: Project) -> list[list[str]]:
    """Return the rows of the README's table, and of the one with the tasks that workflows call."""
    workflows = table(project.read("docs/continuous-deployment.md"), "ci-tasks")
    assert all(f" {CI_TASK}" in row[0] for row in workflows)
    return [*table(project.read("README.md"), "tasks"), *workflows]


def test_the_tasks_tables_list_exactly_the_tasks(project: Project) -> None:
    rows = table_of_tasks(project)

    listed = [row[0].strip("`").removeprefix(f"{project.run} ").split()[0] for row in rows]
    assert listed == list(project.tasks())


def test_the_tables_show_each_tasks_argument(project: Project) -> None:
    rows = [row[0] for row in table_of_tasks(project)]

    for name, task in project.tasks().items():
        arguments = "".join(f" {argument['name'].upper()}" for argument in task.get("args", []))
        assert f"`{project.run} {name}{arguments}`" in rows, name


def test_running_locally_comes_before_deploying(project: Project) -> None:
    text = project.read("README.md")

    assert text.index(f"{project.run} local-up") < text.index(f"{project.run} pulumi-login")


def test_the_other_package_manager_is_not_mentioned(project: Project) -> None:
    others = {"uv": ("pipenv", "pipfile"), "pipenv": ("uv run", "uv.lock", "uv sync")}[project.package_manager]
    text = everything(project).lower()

    assert [other for other in others if other in text] == []


def test_every_task_has_a_help_text(project: Project) -> None:
    assert all(task["help"] for task in project.tasks().values())


def test_the_pipfiles_scripts_are_the_tasks(pipenv_project: Project) -> None:
    scripts = pipenv_project.toml("Pipfile")["scripts"]

    assert scripts == {name: f"poe {name}" for name in pipenv_project.tasks()}


def test_both_package_managers_have_the_same_tasks(default_project: Project, pipenv_project: Project) -> None:
    assert list(default_project.tasks()) == list(pipenv_project.tasks())


def test_both_package_managers_install_the_same(default_project: Project, pipenv_project: Project) -> None:
    assert default_project.requirements() == pipenv_project.requirements()


def test_every_name_is_used_by_the_project(project: Project) -> None:
    files = [project.read(name) for name in project.names() if not name.endswith(".md")]
    known = set(re.findall(r"[A-Za-z_][\w-]*", "\n".join(files)))
    known |= {word for command in commands(project) for word in command.split()} | PLACEHOLDERS | FOREIGN
    known |= {f"{project.slug}-SUFFIX-{role}" for role in ("", "ROLE", *CI_ROLES, *roles(project))}
    # What the names of those roles begin with.
    known |= {f"{project.slug}-SUFFIX", "PREFIX-", *(f"PREFIX-{role}" for role in CI_ROLES)}
    # A single word may mean anything.
    compound = re.compile(r"[A-Za-z]+([A-Z][a-z]|[_-])[\w-]*")

    for name, text in documents(project).items():
        assert [code for code in codes(text) if compound.fullmatch(code) and code not in known] == [], name


def has_bootstrap(project: Project) -> bool:
    return "bootstrap/__main__.py" in project.names()


def test_every_setting_in_the_documents_exists(project: Project) -> None:
    named = {code for code in codes(everything(project)) if re.fullmatch(r"[a-z]+([A-Z][a-z]+)+", code)}

    bootstrap = project.yaml("bootstrap/Pulumi.account.yaml")["config"] if has_bootstrap(project) else {}
    assert named <= {*project.yaml("Pulumi.yaml")["config"], *(key.partition(":")[2] for key in bootstrap)}


def test_every_output_in_the_documents_exists(project: Project) -> None:
    named = {code for code in codes(everything(project)) if re.fullmatch(r"[a-z]+(_[a-z]+)*_(arn|name|url)", code)}

    program = project.read("bootstrap/__main__.py") if has_bootstrap(project) else ""
    assert named <= {*exports(project), *re.findall(r'pulumi\.export\("(\w+)"', program)}


def test_the_settings_table_is_the_schema(project: Project) -> None:
    schema = project.yaml("Pulumi.yaml")["config"]
    rows = table(project.read("docs/configuration.md"), "settings")

    assert [row[0] for row in rows] == [f"`{key}`" for key in schema]
    for (key, declared), (_, default, allowed, description) in zip(schema.items(), rows, strict=True):
        shown = f"`{json.dumps(declared['default']).strip(chr(34)) or chr(34) * 2}`" if "default" in declared else ""
        assert (default, f"{description}; {allowed}") == (shown, declared["description"]), key


def test_the_outputs_table_has_the_programs_exports(project: Project) -> None:
    rows = table(project.read("docs/configuration.md"), "outputs")

    assert [name for name, _ in rows] == [f"`{name}`" for name in exports(project)]
    assert all(resource for _, resource in rows)


def test_every_path_in_the_documents_exists(project: Project) -> None:
    named = {code for code in codes(everything(project)) if re.fullmatch(r"[\w.-]+(/[\w.-]*)*", code)}
    paths = {code for code in named if "/" in code or code.endswith(PATH_ENDINGS)}
    examples = {path for path in paths if PLACEHOLDERS & set(re.split(r"[./-]", path))}
    examples |= {f"alias/{project.slug}-pulumi-secrets", "alias/aws/sqs", "import.json"}

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


def test_every_document_is_linked_from_the_readme(project: Project) -> None:
    linked = {link.partition("#")[0] for link in links(project.read("README.md"))}

    assert set(documents(project)) - {"README.md"} <= linked


def test_every_rule_of_the_validation_is_described(project: Project) -> None:
    given = r'rule: str = "([a-z-]+)"|rule ?= ?"([a-z-]+)"|(?:inding|Problem|Contradiction)\(\s*(?:stack, )?"([a-z-]+)"'
    sources = [name for name in project.python_files() if name.startswith(("infrastructure/", "tools/"))]
    texts = [project.read(name) for name in [*sources, "policies.toml"]]
    rules = {"".join(found) for text in texts for found in re.findall(given, text)}
    described = section(project.read("docs/validation.md"), "Rules")
    rows = re.findall(r"^\| ((?:`[a-z][a-z-]+`(?:, )?)+) \|", described, flags=re.MULTILINE)

    # Depends on the shell's endpoint, which files do not contain.
    assert {rule for row in rows for rule in re.findall("`([a-z-]+)`", row)} == rules - {"endpoint"}


def validate_arguments(project: Project) -> dict[str, list[str]]:
    """Return the options of `validate`, with the choices of each."""
    tree = ast.parse(project.read("tools/validate/command.py"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    added = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument"]
    return {
        ast.literal_eval(call.args[0]): next(
            (list(ast.literal_eval(word.value)) for word in call.keywords if word.arg == "choices"), []
        )
        for call in added
    }


def test_every_option_of_the_validation_is_described(project: Project) -> None:
    rows = re.findall(r"^\| `(--[a-z-]+)(?: (\S+))?` \|", project.read("docs/validation.md"), flags=re.MULTILINE)
    described: dict[str, list[str]] = {}
    for option, value in rows:
        described.setdefault(option, []).extend([value] if value.islower() else [])

    assert described == validate_arguments(project)


def test_every_call_of_the_validation_uses_its_options(project: Project) -> None:
    calls = [command for command in commands(project) if command.startswith(f"{project.run} validate")]
    calls += [line for block in blocks(everything(project), "yaml") for line in re.findall("run: (.+)", block)]
    known = validate_arguments(project)

    for call in calls:
        words = shlex.split(call)
        assert {word for word in words if word[0] == "-"} <= set(known), call
        for option, value in itertools.pairwise(words):
            assert not known.get(option) or value in known[option], call


def test_every_option_in_running_text_exists(project: Project) -> None:
    known = {option for command in commands(project) for option in words_and_options(command)[1]}
    mentioned = {code.split()[0] for code in codes(everything(project)) if re.match("--[a-z]", code)}

    assert mentioned <= known | set(validate_arguments(project))


def test_every_exit_status_of_the_validation_is_described(project: Project) -> None:
    declared = re.search(r"class Status\(.*?(?=\nclass )", project.read("tools/validate/report.py"), re.DOTALL)
    assert declared
    rows = re.findall(r"^\| (\d) \|", project.read("docs/validation.md"), flags=re.MULTILINE)

    assert rows == re.findall(r"^    [A-Z_]+ = (\d)$", declared[0], flags=re.MULTILINE)


def test_the_example_of_a_policy_is_valid(project: Project) -> None:
    (example,) = blocks(project.read("docs/validation.md"), "toml")
    classes = [node for tree in trees(project) for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    (model,) = [node for node in classes if node.name == "ValuePolicy"]
    fields = {ast.unparse(node.target) for node in model.body if isinstance(node, ast.AnnAssign)}

    for policy in tomllib.loads(example)["values"]:
        assert set(policy) <= fields
        assert policy["setting"] in project.yaml("Pulumi.yaml")["config"]


def test_the_yaml_example_is_valid(project: Project) -> None:
    examples = blocks(everything(project), "yaml")

    assert examples
    assert all(yaml.safe_load(example) for example in examples)


def test_the_python_example_calls_what_exists(project: Project) -> None:
    (example,) = blocks(project.read("docs/validation.md"), "python")
    tree = ast.parse(example)
    (imported,) = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    package = f"{imported.module}".replace(".", "/")
    functions = [node for each in trees(project) for node in ast.walk(each) if isinstance(node, ast.FunctionDef)]
    parameters = {node.name: {word.arg for word in [*node.args.args, *node.args.kwonlyargs]} for node in functions}

    (call,) = [node.value for node in tree.body if isinstance(node, ast.Assign)]
    assert isinstance(call, ast.Call)
    assert isinstance(call.func, ast.Name)
    assert [alias.name for alias in imported.names] == [call.func.id]
    assert f'"{call.func.id}"' in project.read(f"{package}/__init__.py")
    assert {word.arg for word in call.keywords} <= parameters[call.func.id]


def test_every_alarm_has_a_runbook(project: Project) -> None:
    assert headings(section(runbooks(project), "Alarms")) == [f"`{name}`" for name in alarms(project)]


def test_the_address_in_an_alarms_description_leads_to_a_heading(project: Project) -> None:
    assert 'Runbook: {RUNBOOKS}#{alarm.name}"' in project.read(MONITORING)
    assert set(alarms(project)) <= anchors(runbooks(project))


def test_a_runbook_says_what_the_alarm_means_how_to_look_and_what_to_do(project: Project) -> None:
    for name in alarms(project):
        runbook = section(runbooks(project), f"`{name}`", level=3)
        parts = re.findall(r"^\*\*(.+)\.\*\*", runbook, flags=re.MULTILINE)
        assert parts == ["What it means", "How to look", "What to do"], name


def test_every_class_of_errors_is_described(project: Project) -> None:
    described = section(project.read("docs/errors-and-operations.md"), "Errors")
    classes = re.findall(r'^    [A-Z]+ = "(\w+)"$', project.read("processor/errors.py"), flags=re.MULTILINE)

    assert re.findall(r"^\| (\w+) \|", described, flags=re.MULTILINE)[1:] == [*classes, "any"]


@pytest.fixture(scope="module", name="recorded")
def fixture_recorded(default_project: Project, environment: Environment) -> dict[str, Any]:
    """What the default project's program registers for production, and which batches its settings allow."""
    timeout = str(defaults(default_project)["lambdaTimeoutSeconds"])
    finished = environment.run(default_project, "python", "-c", RECORD, timeout)
    assert finished.returncode == 0, finished.stdout
    return json.loads(finished.stdout.splitlines()[-1])


def inputs_of(recorded: dict[str, Any], type_: str) -> dict[str, dict[str, Any]]:
    """Return the inputs of all resources of a type, by logical name."""
    return {resource["name"]: resource["inputs"] for resource in recorded["resources"] if resource["type"] == type_}


def text_of(project: Project, name: str, title: str) -> str:
    """Return the text of a section as one line."""
    return " ".join(section(project.read(name), title).split())


def constants(project: Project, name: str) -> dict[str, Any]:
    """Run a module of a project that imports only the standard library, and return its names."""
    return runpy.run_path(str(project.path / name))


def defaults(project: Project) -> dict[str, Any]:
    """Return the default of each setting that has one."""
    declared = project.yaml("Pulumi.yaml")["config"]
    return {key: setting["default"] for key, setting in declared.items() if "default" in setting}


def writes(project: Project, recorded: dict[str, Any]) -> tuple[int, int]:
    """Count how often a message is written to the table and to its index: an update writes only what is projected."""
    (index,) = inputs_of(recorded, "aws:dynamodb/table:Table")["table"]["globalSecondaryIndexes"]
    calls = re.findall(r"self\.dynamodb\.(\w+)\(", project.read("processor/storage.py"))
    (updated,) = re.findall(r'UpdateExpression="SET (\w+) =', project.read("processor/storage.py"))
    assert sorted(calls) == ["put_item", "update_item"]
    assert index["projectionType"] == "INCLUDE"
    return len(calls), 1 + (updated in index["nonKeyAttributes"])


@pytest.mark.slow
def test_the_costs_follow_from_the_program(default_project: Project, recorded: dict[str, Any]) -> None:
    alarms_watch = sum(
        sum("metric" in query for query in alarm.get("metricQueries", [])) or 1
        for alarm in inputs_of(recorded, "aws:cloudwatch/metricAlarm:MetricAlarm").values()
    )
    counters = len(constants(default_project, "processor/names.py")["COUNTERS"])
    polls = POLLERS * MONTH_SECONDS // POLL_SECONDS
    to_table, to_index = writes(default_project, recorded)
    expected = {
        f"alarms, 0.10 for each of the {alarms_watch} metrics that they watch": ALARM_METRIC * alarms_watch,
        f"polling: Lambda keeps {POLLERS} requests of {POLL_SECONDS} seconds open, {polls:,} a month": (
            SQS_REQUESTS * polls / MILLION
        ),
        f"custom metrics, 0.30 for each of the function's {counters} counters": METRIC * counters,
        "SQS, 3 requests: send, receive, delete": SQS_REQUESTS * 3,
        f"DynamoDB, {to_table + to_index} writes: {to_table} to the table, {to_index} to its index": (
            DYNAMODB_WRITES * (to_table + to_index)
        ),
        "Lambda, at 100 ms and 512 MB on arm64": LAMBDA_INVOCATIONS + MILLION * 0.1 * 0.5 * LAMBDA_GB_SECOND,
    }

    rows = dict(re.findall(r"^\| (.+) \| (.+) \|$", default_project.read("docs/costs.md"), flags=re.MULTILINE))
    assert {row: rows.get(row) for row in expected} == {row: f"{price:.2f}" for row, price in expected.items()}


@pytest.mark.slow
def test_the_throughput_in_the_documents_follows_from_the_program(
    default_project: Project, recorded: dict[str, Any]
) -> None:
    settings = defaults(default_project)
    reserve = constants(default_project, "processor/timing.py")["MESSAGE_SECONDS"]
    largest = int(recorded["batch"].split()[0])
    rate = largest // (settings["lambdaTimeoutSeconds"] - reserve)
    batches = settings["maximumConcurrency"]
    limit = PARTITION_WRITES // writes(default_project, recorded)[1]

    refused = text_of(default_project, "docs/configuration.md", "Settings")
    assert (
        f"{rate} messages for each second of `lambdaTimeoutSeconds` beyond {reserve}. By default, {largest}" in refused
    )
    throughput = text_of(default_project, "docs/configuration.md", "Throughput")
    assert f"in about {1 / rate} seconds each" in throughput
    assert f"{batches} batches at once give {batches * rate} messages a second" in throughput
    assert f"Beyond {limit:,} messages a second" in throughput
    found = text_of(default_project, "docs/errors-and-operations.md", "Find messages")
    assert f"the limit is {limit:,} messages a second" in found


def test_the_times_of_a_call_and_a_message_in_the_documents_are_the_functions(default_project: Project) -> None:
    timing = constants(default_project, "processor/timing.py")
    schema = default_project.yaml("Pulumi.yaml")["config"]

    text = text_of(default_project, "docs/configuration.md", "Throughput")
    assert f"An AWS call takes {timing['CALL_SECONDS']} seconds at worst: two attempts" in text
    assert timing["ATTEMPTS"] == 2
    assert f"takes up to {timing['CALLS']} calls, so {timing['MESSAGE_SECONDS']} seconds at worst" in text
    (least,) = re.findall(r"`lambdaTimeoutSeconds` is at least (\d+)", text)
    assert f"a whole number from {least} to" in schema["lambdaTimeoutSeconds"]["description"]


def test_the_retries_in_the_documents_are_the_functions(default_project: Project) -> None:
    delay = constants(default_project, "processor/timing.py")["retry_delay_seconds"]
    settings = defaults(default_project)
    deliveries = settings["maxReceiveCount"]
    delays = [delay(delivery) for delivery in range(1, deliveries)]
    *minutes, longest = [str(each // 60) for each in delays if 60 <= each < 3600]
    hidden = 6 * settings["lambdaTimeoutSeconds"] + settings["batchWindowSeconds"]

    text = text_of(default_project, "docs/errors-and-operations.md", "Retries")
    assert (
        f"{delays[0]} seconds after the first delivery, then {', '.join(minutes)} and {longest} minutes, then an"
        in text
    )
    assert delays[-1] == 3600
    assert (
        f"with {deliveries} deliveries, the default of `maxReceiveCount`, a message survives an outage of three" in text
    )
    assert sum(delays) // 3600 == 3
    assert f"which is {hidden // 60} minutes by default. After {deliveries} crashes, two hours" in text
    assert deliveries * hidden // 3600 == 2


@pytest.mark.slow
def test_the_sizes_and_retention_of_messages_in_the_documents_are_the_queues(
    default_project: Project, recorded: dict[str, Any]
) -> None:
    queues = inputs_of(recorded, "aws:sqs/queue:Queue")
    names = ("queue", "dead-letter-queue")
    queue, dead = (int(queues[name]["maxMessageSize"] / KIB) for name in names)
    days, dead_days = (int(queues[name]["messageRetentionSeconds"] / DAY_SECONDS) for name in names)
    sendable = queue - (dead - queue)

    text = text_of(default_project, "docs/errors-and-operations.md", "Dead letters")
    assert (
        f"The dead-letter queue accepts {dead} KiB, the queue {queue} KiB, so that a message of up to {sendable} KiB"
        in text
    )
    assert f"for {days} days (`messageRetentionSeconds`), the dead-letter queue for {dead_days}." in text
    sent = text_of(default_project, "docs/errors-and-operations.md", "Send messages")
    assert f"may have up to {sendable} KiB, attributes included" in sent


@pytest.mark.slow
def test_the_file_that_brings_kept_data_back_names_what_production_keeps(
    default_project: Project, recorded: dict[str, Any]
) -> None:
    (example,) = blocks(section(default_project.read("docs/errors-and-operations.md"), "Bring kept data back"), "json")
    described = {each["name"]: each for each in json.loads(example)["resources"]}
    program = {(each["type"], each["name"]): each for each in recorded["resources"]}
    found = {name: program[each["type"], each.get("logicalName", name)] for name, each in described.items()}

    components = {name for name, each in described.items() if each.get("component")}
    kept = {key for key, each in program.items() if each["protect"] and each["retain_on_delete"]}
    assert {(each["type"], each["name"]) for name, each in found.items() if name not in components} == kept
    for name, each in described.items():
        above = found[each["parent"]]["urn"] if "parent" in each else found["pipeline"]["parent"]
        assert found[name]["parent"] == above, name
    for name in described.keys() - components:
        inputs = found[name]["inputs"]
        physical = described[name]["id"].replace("SUFFIX", "prod").replace("ACCOUNT_ID", "123456789012")
        assert physical == inputs.get("bucket", inputs.get("name", "KEY_ID")), name


def test_every_message_in_the_troubleshooting_exists(project: Project) -> None:
    text = project.read("docs/troubleshooting.md")
    sections = [title for title in re.findall(r"^## (.+)$", text, flags=re.MULTILINE) if title not in FOREIGN_MESSAGES]
    rows = [row for title in sections for row in re.findall(r"^\| `(.+?)` \|", section(text, title), re.MULTILINE)]
    sources = list(source_texts(project))

    assert rows
    assert [message for message in rows if not any(message in source for source in sources)] == []


def test_the_backend_that_was_chosen_is_described(project: Project) -> None:
    for name in ("README.md", "docs/configuration.md"):
        described = [backend for backend, words in BACKENDS.items() if words in project.read(name)]
        assert described == [project.answers["state_backend"]], name


def test_the_steps_for_the_s3_backend_are_in_order(bake: Callable[..., Project]) -> None:
    project = bake(state_backend="s3", aws_region_prod="eu-central-1")
    steps = blocks(section(project.read("docs/configuration.md"), "State backend"), "sh")
    deploy = section(project.read("README.md"), "Deploy to AWS")

    assert [" ".join(step.split()[:4]) for step in "".join(steps).splitlines()] == [
        "aws s3 mb s3://event-pipeline-pulumi-state",
        "aws s3api put-bucket-versioning --bucket",
        "aws kms create-key --region",
        "aws kms create-alias --region",
        "uv run poe pulumi-login",
        "uv run poe pulumi-create-stack",
    ]
    assert set(re.findall(r"--region (\S+)", "".join(steps))) == {"eu-central-1"}
    assert deploy.index("docs/configuration.md#state-backend") < deploy.index("pulumi-login")


def test_the_login_task_logs_in_to_the_backend_that_was_chosen(project: Project) -> None:
    login, create = (project.tasks()[name]["cmd"] for name in ("pulumi-login", "pulumi-create-stack"))
    prefix = "python -m tools.engine login"
    backend = {"pulumi-cloud": prefix, "s3": f'{prefix} "s3://', "local-file": f"{prefix} file://."}
    secrets = {
        "pulumi-cloud": "${stack}",
        "s3": '"awskms://alias/event-pipeline-pulumi-secrets?',
        "local-file": "passphrase",
    }
    chosen = project.answers["state_backend"]

    assert login.startswith(backend[chosen])
    assert secrets[chosen] in create
    assert ("--secrets-provider" in create) is (chosen != "pulumi-cloud")


def test_the_readme_has_what_a_newcomer_looks_for_on_one_page(project: Project) -> None:
    text = project.read("README.md")

    assert "```mermaid" in text
    assert headings(text)[1:] == [
        "First steps",
        "Run it locally",
        "Deploy to AWS",
        "Tasks",
        "Where things are",
        "Documents",
    ]
    assert len(text.splitlines()) <= README_LINES


def test_the_readme_says_who_owns_each_folder(project: Project) -> None:
    rows = re.findall(r"^\| `(\w+)/` \| (yours|the template's) \|", project.read("README.md"), flags=re.MULTILINE)
    # Folders that are hidden belong to GitHub and GitLab.
    folders = {path.name for path in project.path.iterdir() if path.is_dir() and path.name[0] != "."}

    assert {folder for folder, _ in rows} == folders
    assert [folder for folder, whose in rows if whose == "the template's"] == ["tools"]


def test_the_licence_that_was_chosen_is_named(project: Project) -> None:
    chosen = project.answers["license"]
    named = "proprietary, all rights reserved" if chosen == "Proprietary" else chosen

    assert f"[Licence](LICENSE): {named}." in project.read("README.md")


@pytest.mark.parametrize("backend", CHOICES["state_backend"])
def test_lines_of_prose_fit_into_120_columns_with_any_project_name(bake: Callable[..., Project], backend: str) -> None:
    project = bake(project_slug="a-name-of-25-characters-x", state_backend=backend, aws_region_prod="ap-southeast-2")

    for name, text in documents(project).items():
        for line in text.splitlines():
            assert len(line) <= 120 or line.strip().startswith(("| ", "aws ")), f"{name}: {line}"


@pytest.mark.parametrize("path", sorted(TEMPLATE_FOLDER.rglob("*.md")), ids=lambda path: path.name)
def test_an_optional_paragraph_ends_with_an_empty_line(path: Path) -> None:
    """Jinja removes the empty line after a statement, which would join two paragraphs."""
    is_code, before = False, ""
    for line in path.read_text(encoding="utf-8").splitlines():
        is_code ^= line.strip().startswith("```")
        if re.match("#% (elif|else|endif)", line) and not is_code:
            assert before == "" or before.startswith("|"), f"{before}\n{line}"
        before = line


def test_headings_and_blocks_are_surrounded_by_empty_lines(project: Project) -> None:
    for name, text in documents(project).items():
        assert "\n\n\n" not in text, name
        assert not re.search(r"[^\n]\n#+ ", re.sub(r"```.*?```", "", text, flags=re.DOTALL)), name
        assert not re.search(r"^[^ `\n][^\n]*\n```\w", text, flags=re.MULTILINE), name
        assert not re.search(r"^ *```\n[^\n]", text, flags=re.MULTILINE), name
