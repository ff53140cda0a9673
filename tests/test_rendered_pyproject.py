"""Every line of a rendered pyproject.toml and Pipfile has a reason."""

import ast
import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from validate_pyproject.api import Validator

from tests.projects import Environment, Project

Bake = Callable[..., Project]
EnvironmentOf = Callable[[Project], Environment]

TEMPLATES_FOLDER = "tools"
# What one distribution brings with another, so that only the latter is declared.
BROUGHT = {"botocore": "boto3", "mypy-boto3-": "boto3-stubs"}
# What is called and not imported: the file that calls it, and how.
CALLED = {
    "poethepoet": ("pyproject.toml", "[tool.poe.tasks."),
    "pre-commit": (".pre-commit-config.yaml", "repos:"),
    "pylint": ("pyproject.toml", 'cmd = "pylint '),
    "pytest-cov": ("pyproject.toml", "--cov-report=json"),
    "ruff": ("pyproject.toml", 'cmd = "ruff '),
    "ty": ("pyproject.toml", 'cmd = "ty '),
    "uv": ("tools/package.py", '(sys.executable, "-m", "uv")'),
}
DISTRIBUTIONS = """
import json
from importlib.metadata import packages_distributions
print(json.dumps(packages_distributions()))
"""

# A mistake for each group of ruff's rules.
MISTAKES = {
    "A": "list = 1\n",
    "ANN": "def f(a):\n    print(a)\n",
    "ARG": "def f(a: int) -> None:\n    print()\n",
    "B": "def f(a: list[int] = []) -> None:\n    print(a)\n",
    "BLE": "try:\n    print()\nexcept Exception:\n    print()\n",
    "C4": "x = list([y for y in (1, 2)])\n",
    "C90": "def f(a: int) -> None:\n" + "".join(f"    if a == {n}:\n        print()\n" for n in range(12)),
    "D": "def f() -> None:\n    print()\n",
    "DTZ": "import datetime\nx = datetime.datetime.now()\n",
    "E": "def f(a: object) -> bool:\n    return a == None\n",
    "ERA": "# x = 1\n",
    "F": "import os\n",
    "FLY": 'x = "a"\ny = " ".join([x, x])\n',
    "FURB": 'print("")\n',
    "G": 'import logging\nlogging.info("%s" % 1)\n',
    "I": "import sys\nimport os\nprint(os, sys)\n",
    "ISC": 'x = "a" "b"\n',
    "N": "def badName() -> None:\n    print()\n",
    "PERF": "x = []\nfor y in (1, 2):\n    x.append(y * 2)\n",
    "PGH": "x = 1  # type: ignore\n",
    "PIE": 'class A:\n    """A."""\n\n    pass\n',
    "PL": "def f(a: int) -> bool:\n    return a == 42\n",
    "PT": "import pytest\nwith pytest.raises(ValueError):\n    int('a')\n",
    "PTH": 'import os\nx = os.path.exists("a")\n',
    "PYI": "x: int | int = 1\n",
    "RET": "def f(a: int) -> int:\n    if a:\n        return 1\n    else:\n        return 2\n",
    "RSE": "raise ValueError()\n",
    "RUF": "x = [1]\ny = [2] + x\n",
    "S": 'x = eval("1")\n',
    "SIM": "x = {}\ny = 1 in x.keys()\n",
    "SLF": "import os\nx = os.path._a\n",
    "T20": "print(1)\n",
    "TRY": 'raise Exception("a")\n',
    "UP": "from typing import Optional\nx: Optional[int] = 1\n",
    "W": 'x = "\\d"\n',
}

# A project for the task that runs the unit tests: each test shows what one line of the configuration does.
UNIT_TESTS = {
    "half.py": '"""Half tested."""\n\n\ndef f(a: int) -> int:\n    if a:\n        a += 1\n    return a\n',
    "whole.py": '"""Tested."""\n\nX = 1\n',
    "never.py": '"""Never imported."""\n\nX = 1\n',
    "tools/never.py": '"""The template\'s."""\n\nX = 1\n',
    "tests/integration/test_never.py": "def test_integration() -> None:\n    raise RuntimeError\n",
    # Two files of one name, and no __init__.py.
    "tests/unit/a/test_same.py": """
import warnings
import pytest
from half import f
from whole import X

def test_passes():
    assert f(1) == 2 and X

def test_a_warning():
    warnings.warn("old", DeprecationWarning)

def test_a_warning_of_the_provider():
    warnings.warn("aws.A has been deprecated in favor of aws.B", DeprecationWarning)

@pytest.mark.local_only("on AWS, no")
def test_marked():
    pass

@pytest.mark.skip(reason="skipped for a reason")
def test_skipped():
    pass

@pytest.mark.xfail(reason="fails for a reason")
def test_expected_to_fail():
    assert False
""",
    "tests/unit/b/test_same.py": "def test_of_the_same_file_name():\n    pass\n",
    "tests/unit/b/test_unknown.py": "import pytest\n\n@pytest.mark.unknown\ndef test_unknown_mark():\n    pass\n",
}
# Takes a moment, so that what runs side by side would be mixed.
FAIL = """
import sys, time
print(sys.argv[1], "1", flush=True)
time.sleep(0.3)
print(sys.argv[1], "2", flush=True)
sys.exit(1)
"""


def tools_of(project: Project) -> dict[str, Any]:
    return project.toml("pyproject.toml")["tool"]


def table(project: Project, header: str) -> str:
    """Find the lines of a table."""
    found = re.search(
        rf"^\[{re.escape(header)}\]\n(.*?)(?=^\[|\Z)", project.read("pyproject.toml"), re.MULTILINE | re.DOTALL
    )
    assert found, header
    return found[0]


def name_of(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found
    return found[0].lower().replace("_", "-")


def write_files(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def imports(tree: ast.AST) -> Iterator[str]:
    """Find what a module imports, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_by(project: Project, *folders: str) -> set[str]:
    """Find the top-level names that Python files import."""
    names = [name for name in project.python_files() if name.startswith(folders)]
    assert names
    return {name.partition(".")[0] for file in names for name in imports(ast.parse(project.read(file)))}


@pytest.fixture(scope="session", name="distributions")
def fixture_distributions(default_project: Project, environment: Environment) -> dict[str, set[str]]:
    """The distributions that each top-level module belongs to."""
    finished = environment.run(default_project, "python", "-c", DISTRIBUTIONS)
    found: dict[str, list[str]] = json.loads(finished.stdout)
    return {module: {name_of(each) for each in distributions} for module, distributions in found.items()}


def declared_distributions(modules: set[str], distributions: dict[str, set[str]]) -> set[str]:
    """Find what must be declared for modules to be there."""
    found = {distribution for module in modules for distribution in distributions.get(module, ())}
    return {next((by for brought, by in BROUGHT.items() if each.startswith(brought)), each) for each in found}


# The project's metadata


def test_the_metadata_are_as_the_standard_says(project: Project) -> None:
    Validator()(project.toml("pyproject.toml"))


def test_the_metadata_are_the_answers(bake: Bake) -> None:
    answers = {
        "project_name": "Orders",
        "description": "Keeps orders.",
        "author_name": "A Team",
        "author_email": "a-team@example.com",
        "notification_email": "alarms@example.com",
        "license": "Apache-2.0",
        "python_version": "3.12",
    }

    metadata = bake(**answers).toml("pyproject.toml")["project"]
    del metadata["dependencies"]
    assert metadata == {
        "name": "orders-infrastructure",
        "version": "0.1.0",
        "description": "Keeps orders.",
        "authors": [{"name": "A Team", "email": "a-team@example.com"}],
        "license": "Apache-2.0",
        "requires-python": ">=3.12",
    }


def test_there_are_no_tables_but_those_that_are_tested_here_and_the_templates(project: Project) -> None:
    assert tools_of(project).keys() == {"cookiecutter", "coverage", "poe", "pylint", "pytest", "ruff", "ty"}


# Dependencies


def test_every_dependency_is_imported_or_called_and_all_that_is_imported_is_declared(
    default_project: Project, distributions: dict[str, set[str]]
) -> None:
    imported = declared_distributions(imported_by(default_project, ""), distributions)
    modules = {name.removesuffix("-stubs") for name in distributions if name.endswith("-stubs")}
    stubs = {
        distribution
        for module in modules & imported_by(default_project, "")
        for distribution in distributions[f"{module}-stubs"]
        if distribution.startswith("types-")
    }
    for distribution, (name, call) in CALLED.items():
        assert call in default_project.read(name), distribution

    assert {name_of(each) for each in default_project.requirements()} == imported | stubs | CALLED.keys()


def test_the_stubs_for_aws_are_those_of_the_clients_that_are_used(default_project: Project) -> None:
    requirement = next(each for each in default_project.requirements() if each.startswith("boto3-stubs["))
    extras = requirement.partition("[")[2].partition("]")[0].split(",")
    python = "\n".join(default_project.read(name) for name in default_project.python_files())
    # What boto3's stubs know of a client hangs on the name that it is made with.
    called = set(re.findall(r'\.(?:client|resource)\("(\w+)"', python))
    imported = {name.removeprefix("mypy_boto3_") for name in imported_by(default_project, "") if "boto3_" in name}

    assert imported <= called
    assert extras == sorted(called)


def modules_of(project: Project, *begin: str) -> set[str]:
    """Find what Python files import, and what the project's own modules that they import do."""
    own = {
        name.removesuffix(".py").removesuffix("/__init__").replace("/", "."): name for name in project.python_files()
    }
    seen: set[str] = set()
    found: set[str] = set()
    left = list(begin)
    while left:
        name = left.pop()
        if name in seen:
            continue
        seen.add(name)
        # What only a type checker sees is not needed to run it.
        statements = [node for node in ast.parse(project.read(name)).body if not isinstance(node, ast.If)]
        for module in imports(ast.Module(statements, [])):
            found.add(module.partition(".")[0])
            parts = module.split(".")
            packages = (".".join(parts[:number]) for number in range(1, len(parts) + 1))
            left += [own[package] for package in packages if package in own]
    return found


def test_the_program_runs_with_what_it_declares_for_itself(
    default_project: Project, distributions: dict[str, set[str]]
) -> None:
    pyproject = default_project.toml("pyproject.toml")
    function = [name for name in default_project.python_files() if name.startswith("processor/")]
    needed = declared_distributions(modules_of(default_project, "__main__.py"), distributions)
    function_needs = declared_distributions(modules_of(default_project, *function), distributions)

    # The extra of Powertools brings pydantic.
    bundled = pyproject["dependency-groups"]["processor"]
    assert bundled[0].startswith("aws-lambda-powertools[parser]")
    assert function_needs == {"pydantic", *map(name_of, bundled)}
    assert {name_of(each) for each in pyproject["project"]["dependencies"]} == needed


def test_the_function_is_developed_with_what_is_bundled_with_it(default_project: Project) -> None:
    groups = default_project.toml("pyproject.toml")["dependency-groups"]

    assert groups.keys() == {"dev", "processor"}
    assert {"include-group": "processor"} in groups["dev"]


def test_the_pipfile_has_the_same_groups(default_project: Project, pipenv_project: Project) -> None:
    pyproject = default_project.toml("pyproject.toml")
    groups = pyproject["dependency-groups"]
    development = [*groups["processor"], *(each for each in groups["dev"] if isinstance(each, str))]
    pipfile = pipenv_project.toml("Pipfile")

    assert pipfile.keys() == {"packages", "processor", "dev-packages", "scripts"}
    for section, requirements in (
        ("packages", pyproject["project"]["dependencies"]),
        ("processor", groups["processor"]),
        ("dev-packages", development),
    ):
        assert [name_of(each) for each in pipfile[section]] == [name_of(each) for each in requirements], section
    assert pipfile["processor"]["aws-lambda-powertools"] == pipfile["dev-packages"]["aws-lambda-powertools"]
    assert not {"dependencies", "dynamic"} & pipenv_project.toml("pyproject.toml")["project"].keys()


# Tasks


def module_files(project: Project, module: str) -> list[str]:
    path = module.replace(".", "/")
    files = [name for name in project.python_files() if name == f"{path}.py" or name.startswith(f"{path}/")]
    assert files, module
    return files


def calls_of(task: dict[str, Any]) -> Iterator[str]:
    """Find the commands and scripts of a task."""
    for step in task.get("sequence", [task]):
        if isinstance(step, dict):
            yield from (step[kind] for kind in ("cmd", "script") if kind in step)


def test_poe_accepts_the_tasks(project: Project, environment_of: EnvironmentOf) -> None:
    finished = environment_of(project).task(project)

    assert "Error" not in finished.stdout
    assert all(f"\n  {name} " in finished.stdout for name in project.tasks())


def test_every_task_calls_what_exists(project: Project, environment_of: EnvironmentOf) -> None:
    environment = environment_of(project)
    tasks = tools_of(project)["poe"]["tasks"]
    for name, task in tasks.items():
        for step in (*task.get("sequence", ()), *task.get("parallel", ())):
            assert isinstance(step, dict) or step in tasks, name
        for call in calls_of(task):
            if script := re.fullmatch(r"([\w.]+):(\w+)(?:\(([\w, =]*)\))?", call):
                (file,) = module_files(project, script[1])
                functions = [node for node in ast.parse(project.read(file)).body if isinstance(node, ast.FunctionDef)]
                (function,) = [each for each in functions if each.name == script[2]]
                required = len(function.args.args) - len(function.args.defaults)
                given = script[3].split(", ") if script[3] else []
                assert required <= len(given) <= len(function.args.args), name
                continue
            command, *words = shlex.split(call)
            assert environment.executable(command).exists(), name
            if words[:1] == ["-m"]:
                assert any(
                    'if __name__ == "__main__"' in project.read(file) or file.endswith("/__main__.py")
                    for file in module_files(project, words[1])
                ), name
            for word in words:
                if "/" in word and not word.startswith(("-", "s3:", "file:", "awskms:")):
                    assert (project.path / word).exists(), name


def test_every_argument_of_a_task_is_used_and_a_stack_is_dev_unless_it_is_named_or_ci_must_name_it(
    project: Project,
) -> None:
    for name, task in tools_of(project)["poe"]["tasks"].items():
        for argument in task.get("args", []):
            (call,) = calls_of(task)
            passed = re.findall(r"\w+", call.partition("(")[2])
            assert f"${{{argument['name']}}}" in call or argument["name"] in passed, name
            assert argument["positional"] is True
            defaults = {"stack": "dev", "account": "account", "body": "", "version": ""}
            defaults |= {"path": "infrastructure processor"}
            # A workflow must say which stack it means.
            of_ci = {"required": True}
            of_a_person = {"default": defaults.get(argument["name"])}
            given = {key: value for key, value in argument.items() if key in {"required", "default"}}
            assert given == (of_ci if name.startswith("ci-") else of_a_person), name
            assert argument["help"]


def test_a_task_takes_poes_place_if_it_ends_something_when_it_is_interrupted(project: Project) -> None:
    for name, task in project.tasks().items():
        modules = [re.sub(r"^python -m |:.*| .*", "", re.sub(r"^python -m ", "", call)) for call in calls_of(task)]
        files = [
            file
            for module in modules
            if module.startswith(("tools.", "scripts."))
            for file in module_files(project, module)
        ]
        ends_something = any("interruptible(" in project.read(file) for file in files)
        assert task.get("use_exec", False) is ends_something, name


def test_tasks_run_in_the_environment_that_poe_was_started_in(
    default_project: Project, environment: Environment, tmp_path: Path
) -> None:
    tasks = table(default_project, "tool.poe") + '[tool.poe.tasks]\nwhere = { script = "where:print_prefix" }\n'
    where = "import sys\n\n\ndef print_prefix():\n    print(sys.prefix)\n"
    # With a lock, poe would call uv.
    lock = 'version = 1\nrevision = 3\nrequires-python = ">=3.11"\n'
    metadata = '[project]\nname = "a"\nversion = "0"\nrequires-python = ">=3.11"\n[tool.uv]\n'
    write_files(tmp_path, {"pyproject.toml": metadata + tasks, "where.py": where, "uv.lock": lock})

    finished = environment.task(Project(tmp_path, {}), "where")

    assert Path(finished.stdout.splitlines()[-1]).resolve() == environment.path.resolve()
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize("task", ["format", "lint", "check"])
def test_every_failing_step_is_shown_unmixed_and_fails_the_task(
    default_project: Project, environment: Environment, tmp_path: Path, task: str
) -> None:
    commands: list[str] = []

    def fail(_: re.Match[str]) -> str:
        commands.append(f"step-{len(commands)}")
        return f'cmd = "python fail.py {commands[-1]}"'

    tasks = [*default_project.tasks()[task].get("parallel", [])]
    tasks += [step for step in default_project.tasks()[task].get("sequence", []) if isinstance(step, str)]
    text = table(default_project, "tool.poe")
    text += re.sub(r'cmd = "[^"]*"', fail, table(default_project, f"tool.poe.tasks.{task}"))
    text += "".join(f'[tool.poe.tasks.{name}]\ncmd = "python fail.py {name}"\n' for name in tasks)
    write_files(tmp_path, {"pyproject.toml": text, "fail.py": FAIL})

    finished = environment.task(Project(tmp_path, {}), task)

    assert finished.returncode != 0
    assert len(commands + tasks) > 1
    for step in commands + tasks:
        assert f"\n{step} 1\n{step} 2\n" in f"\n{finished.stdout}", finished.stdout


def test_check_runs_every_other_gate(project: Project) -> None:
    tasks = tools_of(project)["poe"]["tasks"]

    assert set(tasks["check"]["parallel"]) == {"_format", "_generate", "_validate", "lint", "test-py-unit", "typecheck"}
    assert tasks["_format"]["cmd"] == f"{tasks['format']['sequence'][1]['cmd']} --check"
    assert tasks["_validate"]["cmd"] == f"{tasks['validate']['cmd']} --quiet"
    assert tasks["_generate"]["script"] == "tools.generate:check"
    assert tasks["generate"]["script"] == "tools.generate:generate"
    assert tasks["lint"]["sequence"][0]["cmd"] == tasks["format"]["sequence"][0]["cmd"].removesuffix(" --fix")


def test_format_fixes_before_it_formats_and_ends_with_what_follows_from_the_code(project: Project) -> None:
    assert project.tasks()["format"]["sequence"] == [{"cmd": "ruff check --fix"}, {"cmd": "ruff format"}, "generate"]


def test_pylint_looks_at_all_that_is_the_teams(project: Project) -> None:
    command, *targets = project.tasks()["lint"]["sequence"][1]["cmd"].split()
    tops = {name.partition("/")[0] for name in project.python_files()}

    assert command == "pylint"
    assert targets == sorted(tops - {TEMPLATES_FOLDER})


# ruff


def ruff(environment: Environment, folder: Path, *options: str) -> list[dict[str, Any]]:
    finished = environment.run(
        Project(folder, {}), "ruff", "check", "--no-cache", "--output-format", "json", "--exit-zero", *options
    )
    assert finished.returncode == 0, finished.stdout
    return json.loads(finished.stdout[finished.stdout.index("[") :])


def test_every_group_of_ruffs_rules_finds_its_mistakes(
    default_project: Project, environment: Environment, tmp_path: Path
) -> None:
    mistakes = {f"{group.lower()}.py": text for group, text in MISTAKES.items()}
    write_files(tmp_path, {"pyproject.toml": default_project.read("pyproject.toml")} | mistakes)
    found = {
        (Path(each["filename"]).stem.upper(), re.sub(r"\d+$", "", each["code"])) for each in ruff(environment, tmp_path)
    }

    assert tools_of(default_project)["ruff"]["lint"]["select"] == list(MISTAKES)
    for group in MISTAKES:
        rules = {each for file, each in found if file == group}
        assert any(each.startswith(group.rstrip("0123456789")) for each in rules), f"{group}: {rules}"


def test_every_exception_from_ruffs_rules_is_needed_by_some_project(
    bake: Bake, environment: Environment, tmp_path: Path
) -> None:
    needed: set[str] = set()
    ignored: set[str] = set()
    for target in ({}, {"python_version": "3.14", "lambda_runtime": "python3.14"}):
        project = bake(**target)
        ignored |= set(tools_of(project)["ruff"]["lint"]["ignore"])
        text = re.sub(r"^ignore = \[.*?^\]\n", "", project.read("pyproject.toml"), flags=re.MULTILINE | re.DOTALL)
        copy = project.copy(tmp_path / project.answers.get("python_version", "default"))
        (copy.path / "pyproject.toml").write_text(text, encoding="utf-8")
        needed |= {each["code"] for each in ruff(environment, copy.path)}

    assert ignored - needed == set()


def test_every_exception_of_a_folder_from_ruffs_rules_is_needed_there(
    default_project: Project, environment: Environment
) -> None:
    exceptions: dict[str, list[str]] = tools_of(default_project)["ruff"]["lint"]["per-file-ignores"]
    found = ruff(environment, default_project.path, "--config", "lint.per-file-ignores={}")
    broken = {(Path(each["filename"]).relative_to(default_project.path.resolve()), each["code"]) for each in found}

    for pattern, rules in exceptions.items():
        folder = pattern.removesuffix("/**")
        for rule in rules:
            assert any(code == rule and path.is_relative_to(folder) for path, code in broken), f"{pattern}: {rule}"


def test_neither_ruff_nor_ty_looks_at_what_the_emulator_unpacks(
    default_project: Project, environment: Environment, tmp_path: Path
) -> None:
    asked = environment.run(
        default_project, "python", "-c", "from tools.emulator import LOCAL_FOLDER; print(LOCAL_FOLDER.name)"
    )
    text, name = 'import os\n\nX: int = "a"\n', asked.stdout.strip()
    write_files(
        tmp_path, {"pyproject.toml": default_project.read("pyproject.toml"), f"{name}/a.py": text, "b.py": text}
    )

    assert {Path(each["filename"]).name for each in ruff(environment, tmp_path)} == {"b.py"}
    assert set(re.findall(r"\b\w\.py", environment.run(Project(tmp_path, {}), "ty", "check").stdout)) == {"b.py"}


# pylint


def test_every_exception_from_pylints_messages_is_needed(default_project: Project, environment: Environment) -> None:
    pylint = tools_of(default_project)["pylint"]
    disabled = set(pylint["messages control"]["disable"])
    limits = {
        "too-many-instance-attributes": f"--max-attributes={pylint['design']['max-attributes'] - 1}",
        "line-too-long": f"--max-line-length={pylint['format']['max-line-length'] - 1}",
    }
    assert pylint["design"].keys() == {"max-attributes"}

    targets = default_project.tasks()["lint"]["sequence"][1]["cmd"].split()[1:]
    options = ["--disable=all", f"--enable={','.join([*disabled, *limits])}", *limits.values(), "--output-format=json"]
    found = {
        each["symbol"] for each in json.loads(environment.run(default_project, "pylint", *options, *targets).stdout)
    }

    assert found == disabled | limits.keys()


def test_pylint_knows_its_options_and_looks_into_folders_that_are_no_packages(
    default_project: Project, environment: Environment, tmp_path: Path
) -> None:
    mistake = '"""A module."""\n\nX = 1\nY = X == X\n'
    write_files(tmp_path, {"pyproject.toml": default_project.read("pyproject.toml"), "folder/inner/a.py": mistake})

    finished = environment.run(Project(tmp_path, {}), "pylint", "--output-format=json", "folder")

    found = [(Path(each["path"]).name, each["symbol"]) for each in json.loads(finished.stdout)]
    assert found == [("a.py", "comparison-with-itself")]


def test_pylint_breaks_lines_where_ruff_does(project: Project) -> None:
    tools = tools_of(project)

    assert tools["pylint"].keys() == {"main", "design", "format", "messages control"}
    assert tools["pylint"]["main"].keys() == {"py-version", "ignored-modules"}
    assert tools["pylint"]["format"] == {"max-line-length": tools["ruff"]["line-length"]}


def test_pylint_reads_no_sources_of_others(default_project: Project, distributions: dict[str, set[str]]) -> None:
    targets = default_project.tasks()["lint"]["sequence"][1]["cmd"].split()[1:]
    imported = {module for module in imported_by(default_project, *targets) if distributions.get(module)}
    # Stubs have no sources.
    used = {module for module in imported if not module.startswith("mypy_boto3_")}

    assert tools_of(default_project)["pylint"]["main"]["ignored-modules"] == sorted(used)


# pytest and coverage.py


@pytest.fixture(scope="session", name="tried")
def fixture_tried(
    default_project: Project, environment: Environment, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """A project that shows what each line of the tests' configuration does, and what its unit tests said."""
    folder = tmp_path_factory.mktemp("tried")
    write_files(folder, UNIT_TESTS | {"pyproject.toml": default_project.read("pyproject.toml")})
    finished = environment.task(
        Project(folder, {}), "test-py-unit", PYTEST_ADDOPTS="--continue-on-collection-errors -p no:cacheprovider"
    )
    assert finished.returncode != 0
    return folder, finished.stdout


def test_the_unit_tests_are_run_and_each_that_is_not_passed_is_listed_with_the_reason(tried: tuple[Path, str]) -> None:
    _, said = tried

    listed = re.findall(r"^(FAILED|ERROR|SKIPPED|XFAIL)\b(.*)$", said, flags=re.MULTILINE)
    assert [(kind, text) for kind, text in listed if kind == "FAILED"] == [
        ("FAILED", " tests/unit/a/test_same.py::test_a_warning - DeprecationWarning: old")
    ]
    assert any("test_unknown.py - Failed: 'unknown' not found" in text for kind, text in listed if kind == "ERROR")
    assert any("skipped for a reason" in text for kind, text in listed if kind == "SKIPPED")
    assert any("fails for a reason" in text for kind, text in listed if kind == "XFAIL")
    assert re.search(r"^1 failed, 4 passed, 1 skipped, 1 xfailed, 1 error in", said, flags=re.MULTILINE)


def test_the_gate_is_100_percent_of_lines_and_branches_of_what_is_the_teams(tried: tuple[Path, str]) -> None:
    folder, said = tried

    summary = json.loads((folder / "coverage" / "coverage-summary.json").read_text(encoding="utf-8"))
    assert {name: file["summary"]["percent_covered"] == 100 for name, file in summary["files"].items()} == {
        "half.py": False,
        "never.py": False,
        "whole.py": True,
    }
    assert summary["totals"]["missing_branches"] == 1
    assert "Coverage failure: total of 75 is less than fail-under=100" in said
    # Only what is missing is listed.
    assert re.search(r"^half\.py .* 5->7$", said, flags=re.MULTILINE)
    assert not re.search(r"^whole\.py ", said, flags=re.MULTILINE)


def test_the_reports_are_in_one_folder(tried: tuple[Path, str]) -> None:
    folder, _ = tried

    assert {path.name for path in (folder / "coverage").iterdir()} == {"coverage-summary.json", "coverage.xml", "html"}
    assert (folder / "coverage" / "html" / "index.html").exists()
    assert {path.name for path in folder.iterdir()} <= {
        *(Path(name).parts[0] for name in UNIT_TESTS),
        "pyproject.toml",
        "coverage",
        ".coverage",
    }


def test_pytest_refuses_an_unknown_option_and_collects_the_unit_tests_unless_told_otherwise(
    tried: tuple[Path, str], environment: Environment, tmp_path: Path
) -> None:
    folder, _ = tried
    collect = ("pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "--continue-on-collection-errors")
    collected = environment.run(Project(folder, {}), *collect).stdout
    unknown = (folder / "pyproject.toml").read_text(encoding="utf-8").replace("\ntestpaths = ", "\ntestpahts = ")
    write_files(tmp_path, {"pyproject.toml": unknown, "test_a.py": "def test_a():\n    pass\n"})

    refused = environment.run(Project(tmp_path, {}), *collect)

    assert "tests/unit/a/test_same.py" in collected
    assert "integration" not in collected
    assert refused.returncode == 4
    assert "Unknown config option: testpahts" in refused.stdout


def test_every_marker_is_used(default_project: Project) -> None:
    markers = tools_of(default_project)["pytest"]["ini_options"]["markers"]
    tests = "\n".join(default_project.read(name) for name in default_project.python_files() if "tests/" in name)
    used = set(re.findall(r"pytest\.mark\.(\w+)", tests)) | set(re.findall(r'get_closest_marker\("(\w+)"\)', tests))

    assert markers
    assert {re.match(r"\w+", marker)[0] for marker in markers} == used - {"parametrize", "skipif", "usefixtures"}  # ty: ignore


def test_the_warning_that_is_ignored_is_raised(default_project: Project, environment: Environment) -> None:
    (ignored,) = [each for each in tools_of(default_project)["pytest"]["ini_options"]["filterwarnings"] if ":" in each]
    _, message, category = ignored.split(":")
    infrastructure = [name for name in default_project.python_files() if name.startswith("infrastructure/")]
    resources = {
        each for name in infrastructure for each in re.findall(r"\baws\.\w+\.[A-Z]\w+", default_project.read(name))
    }
    assert resources
    code = f"import warnings\nimport pulumi_aws as aws\nwarnings.simplefilter('error', {category})\n"
    code += "\n".join(sorted(resources))

    finished = environment.run(default_project, "python", "-c", code)

    raised = finished.stdout.splitlines()[-1]
    assert re.match(f"{category}: {message}", raised), raised


def test_coverage_has_the_options_that_are_tested_here_alone(project: Project) -> None:
    coverage = tools_of(project)["coverage"]

    assert {name: set(options) for name, options in coverage.items()} == {
        "run": {"branch", "source", "omit"},
        "report": {"fail_under", "show_missing"},
        "json": {"output"},
        "xml": {"output"},
        "html": {"directory"},
    }
