"""Every line of every rendered file that is neither Python nor a document has a reason.

Those of pyproject.toml are in test_rendered_pyproject.py. Where the template has such a file too, both are tested.
"""

import ast
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import editorconfig
import jsonschema
import pytest

from tests.combinations import CHOICES, QUESTIONS, ROOT
from tests.projects import Environment, Project

# https://spec.editorconfig.org/#supported-pairs, and what most editors support besides:
# https://github.com/editorconfig/editorconfig/wiki/EditorConfig-Properties#max_line_length
EDITOR_SETTINGS: dict[str, str] = {
    "charset": "latin1|utf-8|utf-8-bom|utf-16be|utf-16le",
    "end_of_line": "lf|crlf|cr",
    "indent_size": r"\d+",
    "indent_style": "tab|space",
    "insert_final_newline": "true|false",
    "max_line_length": r"\d+",
    "trim_trailing_whitespace": "true|false",
}
# Their indentation is a matter of columns only; that of Markdown and licences is also one of words.
INDENTED = {".json", ".py", ".toml", ".yaml", ".yml"}

# https://www.pulumi.com/docs/iac/concepts/projects/project-file/#attributes and #config-options
PULUMI_PROJECT = {
    "type": "object",
    "required": ["name", "description", "runtime", "config"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string"},
        "description": {"type": "string"},
        "runtime": {
            "type": "object",
            "required": ["name"],
            "additionalProperties": False,
            "properties": {"name": {"const": "python"}, "options": {"type": "object"}},
        },
        "config": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["type", "description"],
                "additionalProperties": False,
                "properties": {
                    "type": {"enum": ["string", "integer", "boolean"]},
                    "description": {"type": "string"},
                    "default": {},
                },
            },
        },
    },
}
# The package managers that Pulumi can find a project's interpreter with. Without this option, it takes the one on the
# PATH: https://www.pulumi.com/docs/iac/concepts/projects/project-file/#runtime-options
PULUMI_TOOLCHAINS = {"pip", "poetry", "uv"}
# https://www.pulumi.com/docs/iac/concepts/projects/stack-settings-file/
STACK_FILE = {"config"}
# Why the emulator's stack sets what it does: https://www.pulumi.com/registry/packages/aws/installation-configuration/
LOCAL_ONLY = {
    "aws:accessKey": "the provider asks for credentials",
    "aws:secretKey": "the provider asks for credentials",
    "aws:skipMetadataApiCheck": "the provider would look for an instance's role, and wait",
    "aws:skipCredentialsValidation": "with the next one, the provider reads a bucket's tags from S3",
    "aws:skipRequestingAccountId": "with the one before, the provider reads a bucket's tags from S3",
    "aws:s3UsePathStyle": "BUCKET.127.0.0.1 is no host",
}

# The words of the licences, without the line that names the owner: they are the same for everybody.
LICENSE_DIGESTS = {
    "MIT": "7c9b48b52decb9837c70f608678129e1ac79e056829c8d1e82e8cdd8aed562f8",
    "Apache-2.0": "0649bc87ac07c40d996369e9e058b11734e3eedb25ae8be9e6293f1efb340353",
    "BSD-3-Clause": "77bebd765dc6e78c3feb4e9856b5d733a736a0ce9621764f9a604daf488d6941",
    "Proprietary": "d02fdfffc5b82520fa4519d440a98098e5364e5873091ef66da7520a42d1b314",
}

# Stacks that break every policy, as lines that are added to their files in place of those for the same keys.
BROKEN_STACKS = {
    "local": {"event-pipeline:lambdaRuntime": "python3.13"},
    "dev": {
        "event-pipeline:lambdaRuntime": "python3.11",
        "event-pipeline:kmsKeyArn": "arn:aws:kms:us-east-2:123456789012:key/99999999-8888-7777-6666-555555555555",
        "event-pipeline:bucketName": "event-pipeline-staging-access-logs-123456789012",
        "event-pipeline:eventSourceMetrics": True,
        "aws:region": "eu-west-1",
    },
    "staging": {
        "event-pipeline:lambdaRuntime": "python3.12",
        "event-pipeline:bucketName": "event-pipeline-prod-payloads-123456789012",
        "event-pipeline:kmsKeyArn": "arn:aws:kms:eu-west-2:123456789012:key/99999999-8888-7777-6666-555555555555",
        "aws:region": "eu-west-2",
        "pulumi:disable-default-providers": ["kubernetes"],
    },
    "prod": {
        "event-pipeline:lambdaRuntime": "python3.14",
        "event-pipeline:lambdaMemoryMb": 256,
        "event-pipeline:lambdaTimeoutSeconds": 119,
        "event-pipeline:maxReceiveCount": 9,
        "event-pipeline:messageRetentionSeconds": 604799,
        "event-pipeline:noncurrentVersionDays": 29,
        "event-pipeline:logRetentionDays": 60,
        "event-pipeline:eventSourceMetrics": False,
        "event-pipeline:forceDestroy": True,
        "event-pipeline:notificationEmail": "platform@example.com",
        "aws:region": "eu-west-3",
        "aws:accessKey": "a",
        "aws:secretKey": "b",
        "aws:token": "c",
        "azure:location": "d",
    },
}
# A second mistake in a key hides the first one.
BROKEN_STACKS_TOO = {
    "staging": {"event-pipeline:environmentSuffix": "dev", "event-pipeline:notificationEmail": ""},
    "prod": {
        "event-pipeline:bucketName": "event-pipeline-dev-access-logs-123456789012",
        "event-pipeline:notificationEmail": "",
    },
}
# What is stronger also counts on the way to another environment than production, once a team says that there is one.
ANOTHER_WAY = ('prod = ["dev", "staging"]\n', 'prod = ["dev", "staging"]\nstaging = ["dev"]\n')
BROKEN_ON_ANOTHER_WAY = {"staging": {"event-pipeline:forceDestroy": True}}
FOUND_IN_BROKEN_STACKS = {
    ("any-account", "warning", "allowedAccountIds", "prod"),
    ("force-destroy", "error", "forceDestroy", "prod"),
    ("key-elsewhere", "error", "kmsKeyArn", "dev"),
    ("no-recipient", "warning", "notificationEmail", "prod"),
    ("placeholder-email", "warning", "notificationEmail", "prod"),
    ("plain-credential", "error", "accessKey", "prod"),
    ("plain-credential", "error", "secretKey", "prod"),
    ("plain-credential", "error", "token", "prod"),
    ("region", "error", "region", "dev"),
    ("region", "error", "region", "prod"),
    ("region", "error", "region", "staging"),
    ("runtime-ended", "error", "lambdaRuntime", "dev"),
    ("runtime-ending", "warning", "lambdaRuntime", "staging"),
    ("same-bucket-name", "error", "bucketName", "dev", "prod"),
    ("same-bucket-name", "error", "bucketName", "prod", "staging"),
    ("same-bucket-name", "error", "bucketName", "staging", "dev"),
    ("same-suffix", "error", "environmentSuffix", "dev", "staging"),
    ("unknown-namespace", "error", "location", "prod"),
    ("weaker-setting", "error", "eventSourceMetrics", "prod"),
    ("weaker-setting", "error", "forceDestroy", "staging"),
    ("weaker-setting", "error", "kmsKeyArn", "prod"),
    ("weaker-setting", "error", "lambdaMemoryMb", "prod"),
    ("weaker-setting", "error", "lambdaTimeoutSeconds", "prod"),
    ("weaker-setting", "error", "logRetentionDays", "prod"),
    ("weaker-setting", "error", "maxReceiveCount", "prod"),
    ("weaker-setting", "error", "messageRetentionSeconds", "prod"),
    ("weaker-setting", "error", "noncurrentVersionDays", "prod"),
}
# 90 days before the end of python3.12.
A_DAY = "2028-08-02"
# Takes away one line of policies.toml after the other, and tells for which all that is found stays the same.
MUTATE_POLICIES = """
import datetime, json, pathlib, sys
from tools.validate import CannotValidateError, validate_configuration

POLICIES = pathlib.Path("policies.toml")
stacks = json.loads(sys.argv[1])
POLICIES.write_text(POLICIES.read_text(encoding="utf-8").replace(*json.loads(sys.argv[3])), encoding="utf-8")
today = datetime.date.fromisoformat(sys.argv[2])

def found():
    try:
        report = validate_configuration(stacks=["local", "dev", "staging", "prod"], today=today)
        return [finding.model_dump(mode="json") for finding in report.findings]
    except CannotValidateError as error:
        return str(error)

for stack, values in stacks.items():
    path = pathlib.Path(f"Pulumi.{stack}.yaml")
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.strip().startswith(tuple(f"{key}:" for key in values))]
    added = [f"  {key}: {json.dumps(value)}" for key, value in values.items()]
    path.write_text("\\n".join([*kept, *added, ""]), encoding="utf-8")
before, same = found(), []
lines = POLICIES.read_text(encoding="utf-8").splitlines()
for number, line in enumerate(lines):
    if line and not line.startswith("#"):
        POLICIES.write_text("\\n".join([*lines[:number], *lines[number + 1 :], ""]), encoding="utf-8")
        if found() == before:
            same.append(f"{line} (number {lines[:number].count(line) + 1} of these)")
print(json.dumps({"before": before, "same": same}))
"""


def git(folder: Path, *arguments: str, given: str = "") -> str:
    """Run git as on a machine that nobody has configured, and return what it says."""
    variables = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    finished = subprocess.run(
        ["git", "-c", "user.name=A", "-c", "user.email=a@example.com", *arguments],
        cwd=folder,
        check=False,
        input=given.encode(),
        capture_output=True,
        env=variables,
    )
    # 1 is the answer "none" of check-ignore.
    assert finished.returncode in {0, 1}, finished.stderr
    return finished.stdout.decode()


@dataclass(frozen=True)
class Files:
    """The files of a project or of the template, and what else comes to lie beside them.

    Attributes:
        folder: Where they are.
        names: Those that are committed.
        written: What tools, tasks and editors write there, that is not.
        later: What else is to be committed one day.
    """

    folder: Path
    names: list[str]
    written: set[str]
    later: set[str]

    def text(self, name: str) -> str:
        """Read a file."""
        return (self.folder / name).read_bytes().decode("utf-8")


# Asks the tasks where they write.
WHERE_TASKS_WRITE = """
import json
from tools.bundle import BUILD_FOLDER
from tools.emulator import LOCAL_FOLDER, LOG_FILE
from tools.local import LOCK_FILE
from tools.outputs import OUTPUTS_FILE
from tools.configuration.stack_files import PROJECT_FOLDER

written = [BUILD_FOLDER / "a.zip", LOCAL_FOLDER / LOG_FILE, LOCK_FILE, PROJECT_FOLDER / OUTPUTS_FILE]
print(json.dumps([path.relative_to(PROJECT_FOLDER).as_posix() for path in written]))
"""
# The caches of Python and of the tools, and the environment of the package manager.
CACHES = {".pytest_cache/README.md", ".ruff_cache/CACHEDIR.TAG", ".venv/pyvenv.cfg"}


def rendered_files(project: Project, environment: Environment) -> Files:
    asked = environment.run(project, "python", "-c", WHERE_TASKS_WRITE)
    assert asked.returncode == 0, asked.stdout
    coverage = project.toml("pyproject.toml")["tool"]["coverage"]
    return Files(
        project.path,
        sorted(project.names()),
        {
            *json.loads(asked.stdout.splitlines()[-1]),
            *CACHES,
            "__pycache__/__main__.cpython-311.pyc",
            "tools/__pycache__/tasks.cpython-311.pyc",
            # coverage.py's data, and those of a run that was cut off: https://coverage.readthedocs.io/en/latest/cmd.html
            ".coverage",
            ".coverage.host.pid1234.Xabcdef",
            coverage["json"]["output"],
            coverage["xml"]["output"],
            f"{coverage['html']['directory']}/index.html",
            # The backend `file://.`.
            ".pulumi/stacks/event-pipeline/dev.json",
            # Visual Studio Code, PyCharm and macOS.
            ".vscode/settings.json",
            ".idea/workspace.xml",
            ".DS_Store",
            "docs/.DS_Store",
        },
        {"uv.lock", "Pipfile.lock", "Pulumi.qa.yaml", ".cruft.json", ".github/workflows/ci.yml"},
    )


def template_files() -> Files:
    tracked = git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    return Files(
        ROOT,
        [name for name in tracked if not name.startswith(('"', "{{")) and (ROOT / name).is_file()],
        {
            *CACHES,
            "tests/__pycache__/projects.cpython-311.pyc",
            ".hypothesis/unicode_data/charmap.json.gz",
            # `make new`.
            "build/event-pipeline/README.md",
            # uv, when a person calls it here.
            "uv.lock",
        },
        {"docs/news.md", ".github/workflows/release.yml"},
    )


@pytest.fixture(scope="session", name="files", params=["rendered", "template"])
def fixture_files(request: pytest.FixtureRequest, default_project: Project, environment: Environment) -> Files:
    """The files of the default project, then those of the template."""
    return rendered_files(default_project, environment) if request.param == "rendered" else template_files()


def lines_of_configuration(text: str) -> list[int]:
    """Number the lines that are neither empty nor comments."""
    return [number for number, line in enumerate(text.splitlines()) if line and not line.startswith("#")]


def without_line(text: str, number: int) -> str:
    lines = text.splitlines()
    return "\n".join([*lines[:number], *lines[number + 1 :], ""])


# .gitignore


def ignored(folder: Path, patterns: str, names: set[str]) -> set[str]:
    """Tell which files git ignores for some patterns."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet")
    (folder / ".gitignore").write_text(patterns, encoding="utf-8")
    return set(git(folder, "check-ignore", "--stdin", given="\n".join(sorted(names))).splitlines())


def test_git_ignores_what_is_written_beside_the_files_and_nothing_else(files: Files, tmp_path: Path) -> None:
    committed = {*files.names, *files.later}

    assert ignored(tmp_path, files.text(".gitignore"), files.written | committed) == files.written


def test_every_line_of_the_gitignore_ignores_something_that_no_other_does(files: Files, tmp_path: Path) -> None:
    patterns = files.text(".gitignore")

    for number in lines_of_configuration(patterns):
        less = ignored(tmp_path, without_line(patterns, number), files.written)
        assert less < files.written, patterns.splitlines()[number]


# .gitattributes


@pytest.mark.parametrize("converts", ["true", "input", "false"])
def test_git_gives_out_text_with_the_same_line_ends_on_every_machine_and_leaves_the_rest_alone(
    files: Files, tmp_path: Path, converts: str
) -> None:
    given = {"text.txt": b"a\nb\n", "windows.txt": b"a\r\nb\r\n", "folder/image.png": b"\x89PNG\r\n\x1a\n\0\r\n"}
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "config", "core.autocrlf", converts)
    (tmp_path / ".gitattributes").write_bytes(files.text(".gitattributes").encode())
    (tmp_path / "folder").mkdir()
    for name, content in given.items():
        (tmp_path / name).write_bytes(content)
    git(tmp_path, "add", ".")
    for name in given:
        (tmp_path / name).unlink()
    git(tmp_path, "checkout", "--", ".")

    found = {name: (tmp_path / name).read_bytes() for name in given}
    assert found == given | {"windows.txt": b"a\nb\n"}


def test_the_gitattributes_is_one_line(files: Files) -> None:
    assert len(lines_of_configuration(files.text(".gitattributes"))) == 1


# .editorconfig


def editor_settings(folder: Path, text: str, names: list[str]) -> dict[str, dict[str, str]]:
    """Tell what editors are told for each file, where the folder above says something else."""
    inner = folder / "inner"
    inner.mkdir(exist_ok=True)
    (folder / ".editorconfig").write_text("root = true\n[*]\ntab_width = 7\n", encoding="utf-8")
    (inner / ".editorconfig").write_text(text, encoding="utf-8")
    return {name: dict(editorconfig.get_properties(str(inner / name))) for name in names}


def test_every_line_of_the_editorconfig_tells_editors_something(files: Files, tmp_path: Path) -> None:
    text = files.text(".editorconfig")
    told = editor_settings(tmp_path, text, files.names)

    for number in lines_of_configuration(text):
        try:
            less = editor_settings(tmp_path, without_line(text, number), files.names)
        except editorconfig.EditorConfigError:
            continue
        assert less != told, text.splitlines()[number]


def test_editors_are_told_all_that_can_be_told_and_understand_it(files: Files, tmp_path: Path) -> None:
    for name, told in editor_settings(tmp_path, files.text(".editorconfig"), files.names).items():
        # The library adds what follows from the size; the folder above has nothing to say.
        assert told.pop("tab_width") == told["indent_size"], name
        assert told.keys() == EDITOR_SETTINGS.keys(), name
        for key, value in told.items():
            assert re.fullmatch(EDITOR_SETTINGS[key], value), f"{name}: {key} = {value}"


def test_every_file_is_as_editors_are_told(files: Files, tmp_path: Path) -> None:
    steps: dict[tuple[str, str], set[int]] = {}
    for name, told in editor_settings(tmp_path, files.text(".editorconfig"), files.names).items():
        content = (files.folder / name).read_bytes()
        text = content.decode(told["charset"])
        assert ("\r" in text, told["end_of_line"]) == (False, "lf"), name
        assert (not text or text.endswith("\n"), told["insert_final_newline"]) == (True, "true"), name
        trailing = re.search(r"[ \t]$", text, flags=re.MULTILINE)
        assert (trailing, told["trim_trailing_whitespace"]) == (None, "true"), name
        starts = re.findall(r"^[ \t]+", text, flags=re.MULTILINE)
        indented_with_tabs = told["indent_style"] == "tab"
        assert [start for start in starts if ("\t" in start) is not indented_with_tabs] == [], name
        # Multi-line strings are indented as they like.
        if Path(name).suffix == ".py":
            starts = [
                " " * node.body[0].col_offset for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)
            ]
        if Path(name).suffix in INDENTED and starts:
            kind = Path(name).suffix, told["indent_size"]
            steps.setdefault(kind, set()).add(min(map(len, starts)))
        # The width of code is the formatter's affair, and tables of Markdown are as wide as they are.
        if Path(name).suffix not in {".py", ".md", ".svg"}:
            long = [line for line in text.splitlines() if len(line) > int(told["max_line_length"])]
            assert long == [], name

    assert steps
    assert {kind: min(widths) for kind, widths in steps.items()} == {kind: int(kind[1]) for kind in steps}


def test_editors_and_the_formatter_break_lines_at_the_same_width(files: Files, tmp_path: Path) -> None:
    width = tomllib.loads(files.text("pyproject.toml"))["tool"]["ruff"]["line-length"]

    for told in editor_settings(tmp_path, files.text(".editorconfig"), ["a.py", "a.yaml"]).values():
        assert told["max_line_length"] == str(width)


# .pre-commit-config.yaml


def hooks(project: Project) -> list[dict[str, Any]]:
    (repository,) = project.yaml(".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    return repository["hooks"]


def steps_of(project: Project, task: str) -> list[str]:
    """List the commands that a task runs one after the other."""
    sequence = project.tasks()[task].get("sequence", [])
    return [step["cmd"] for step in sequence if isinstance(step, dict)]


@pytest.mark.parametrize("package_manager", CHOICES["package_manager"])
def test_pre_commit_accepts_its_configuration_without_a_warning(
    bake: Callable[..., Project], environment: Environment, package_manager: str
) -> None:
    finished = environment.run(bake(package_manager=package_manager), "pre-commit", "validate-config")

    assert (finished.returncode, finished.stdout) == (0, "")


def test_a_hook_runs_the_task_that_it_is_named_after_or_a_step_of_it_on_what_has_changed(project: Project) -> None:
    for hook in hooks(project):
        assert hook["name"] == hook["id"]
        if hook["entry"].split(" --")[0] == f"{project.run} {hook['id']}":
            assert hook["pass_filenames"] is False, hook["id"]
        else:
            command = hook["entry"].removeprefix(f"{project.package_manager} run ")
            # The task may also fix what the hook only finds.
            assert command in [step.removesuffix(" --fix") for step in steps_of(project, hook["id"])], hook["id"]
            assert "pass_filenames" not in hook, hook["id"]
            assert hook["types"] == ["python"], hook["id"]


def test_everything_that_check_runs_quickly_runs_on_each_commit_and_all_of_it_before_a_push(project: Project) -> None:
    configuration = project.yaml(".pre-commit-config.yaml")
    # Without stages, a hook runs at each of those that are installed.
    default = configuration.get("default_stages", configuration["default_install_hook_types"])
    stages = {hook["id"]: hook.get("stages", default) for hook in hooks(project)}
    slow = {"test-py-unit"}
    steps = {step.lstrip("_") for step in project.tasks()["check"]["parallel"]}

    assert stages == {step: ["pre-commit"] for step in steps - slow} | {"check": ["pre-push"]}
    assert [hook["id"] for hook in hooks(project) if hook.get("always_run")] == ["check"]
    assert configuration["default_install_hook_types"] == sorted({stage for each in stages.values() for stage in each})


def test_validation_on_commit_is_as_quiet_as_in_the_check(project: Project) -> None:
    entry = next(hook["entry"] for hook in hooks(project) if hook["id"] == "validate")
    check = project.toml("pyproject.toml")["tool"]["poe"]["tasks"]["_validate"]["cmd"]

    assert shlex.split(entry)[-1:] == shlex.split(check)[-1:] == ["--quiet"]


def test_a_hook_runs_for_the_files_that_its_task_reads_and_for_no_others(project: Project) -> None:
    patterns = {hook["id"]: hook["files"] for hook in hooks(project) if "files" in hook}
    names = project.names()
    model = "infrastructure/settings.py"
    blocks = {name for name in names if name.endswith((".md", ".yaml")) and ": begin" in project.read(name)}
    stacks = {name for name in names if re.fullmatch(r"Pulumi(\.[a-z]+)?\.yaml", name)}
    example = re.search(r'example="([\w.]+):', project.read("infrastructure/project.py"))
    assert example
    expected = {
        "generate": {*blocks, model, "__main__.py", f"{example[1].replace('.', '/')}.py"},
        "validate": {*stacks, model, "policies.toml"},
    }

    assert patterns.keys() == expected.keys()
    for hook, pattern in patterns.items():
        found = {name for name in names if re.search(pattern, name)}
        documents = {name for name in names if name.startswith("docs/")}
        assert found - documents == expected[hook] - documents, hook
        # A team may add documents with tables.
        assert expected[hook] <= found <= expected[hook] | documents, hook
        alternatives = re.fullmatch(r"\^\((.*)\)\$", pattern)
        assert alternatives
        for alternative in alternatives[1].split("|"):
            assert any(re.fullmatch(alternative, name) for name in names), f"{hook}: {alternative}"


class Repository:
    """A project in a git repository with its hooks installed.

    Attributes:
        project: The project.
        environment: What its commands run in.
        home: Where pre-commit keeps its records.
    """

    def __init__(self, project: Project, environment: Environment, home: Path) -> None:
        self.project = project
        self.environment = environment
        self.home = home
        self.run("git", "init", "--quiet")

    def run(self, *command: str) -> tuple[int, str]:
        """Run a command as on a machine that nobody has configured, and return its exit status and what it says."""
        variables = self.environment.variables(
            GIT_CONFIG_GLOBAL=os.devnull,
            GIT_CONFIG_NOSYSTEM="1",
            PRE_COMMIT_HOME=str(self.home),
            # The environment of the tests stands for the one that the package manager would make.
            UV_PROJECT_ENVIRONMENT=str(self.environment.path),
            UV_NO_SYNC="1",
            PIPENV_VERBOSITY="-1",
        )
        # Pipenv is a tool of the template's, uv one of both.
        variables["PATH"] = os.pathsep.join([variables["PATH"], str(Path(sys.executable).parent)])
        for role in ("AUTHOR", "COMMITTER"):
            variables |= {f"GIT_{role}_NAME": "A", f"GIT_{role}_EMAIL": "a@example.com"}
        program = shutil.which(command[0], path=variables["PATH"]) or command[0]
        finished = subprocess.run(
            [program, *command[1:]],
            cwd=self.project.path,
            env=variables,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        return finished.returncode, finished.stdout

    def commit(self) -> tuple[int, dict[str, str]]:
        """Commit everything, and return the exit status and what each hook did."""
        self.run("git", "add", ".")
        status, said = self.run("git", "commit", "--message", "A change")
        return status, dict(
            re.findall(r"^([a-z]+)\.+(?:\(no files to check\))?(Passed|Failed|Skipped)$", said, re.MULTILINE)
        )


QUICK_TESTS = "tests/unit/infrastructure/test_naming.py"


@pytest.mark.slow
@pytest.mark.parametrize("package_manager", CHOICES["package_manager"])
def test_the_hooks_refuse_what_is_wrong_and_leave_nothing_behind(
    bake: Callable[..., Project], environment: Environment, tmp_path: Path, package_manager: str
) -> None:
    project = bake(package_manager=package_manager).copy(tmp_path)
    # What takes long is tested elsewhere, with the whole check.
    project.replace(
        "pyproject.toml", "pytest -q tests/unit --cov ", f"pytest -q {QUICK_TESTS} --cov --cov-fail-under=0 "
    )
    project.replace("pyproject.toml", "pylint __main__.py", "python --version")
    repository = Repository(project, environment, tmp_path / "home")

    status, said = repository.run("pre-commit", "install")
    assert (status, said.count("pre-commit installed at")) == (0, 2), said
    every = dict.fromkeys(("format", "lint", "typecheck", "generate", "validate"), "Passed")
    assert repository.commit() == (0, every)

    for name, old, new, refused_by in (
        ("__main__.py", '"bucket_name", ', '"bucket_name",   ', "format"),
        ("__main__.py", "import pulumi\n", "import os\n\nimport pulumi\n", "lint"),
        ("tools/outputs.py", "OUTPUTS_FILE: Final = ", "OUTPUTS_FILE: Final[int] = ", "typecheck"),
        ("docs/configuration.md", "| `120` |", "| `121` |", "generate"),
        ("Pulumi.prod.yaml", "logRetentionDays: 365", "logRetentionDays: 1", "validate"),
    ):
        before = project.read(name)
        project.replace(name, old, new)
        status, hooks_run = repository.commit()
        assert status != 0, name
        assert {hook for hook, outcome in hooks_run.items() if outcome == "Failed"} == {refused_by}
        (project.path / name).write_text(before, encoding="utf-8")
        repository.run("git", "add", ".")

    status, said = repository.run("pre-commit", "run", "--all-files", "--hook-stage", "pre-push")
    assert status == 0, said
    assert re.findall(r"^(\w+)\.+(\w+)$", said, flags=re.MULTILINE) == [("check", "Passed")]
    assert repository.run("git", "status", "--porcelain", "--untracked-files=all") == (0, "")


# Pulumi.yaml and the stack files


def test_the_pulumi_project_has_the_keys_that_pulumi_documents(project: Project) -> None:
    jsonschema.validate(project.yaml("Pulumi.yaml"), PULUMI_PROJECT)


def test_the_pulumi_project_has_the_answers(bake: Callable[..., Project]) -> None:
    answered = bake(project_name="Orders", description="Keeps orders.").yaml("Pulumi.yaml")

    assert (answered["name"], answered["description"]) == ("orders", "Keeps orders.")


def test_pulumi_finds_the_interpreter_with_the_package_manager_that_was_chosen_if_it_can(project: Project) -> None:
    runtime = project.yaml("Pulumi.yaml")["runtime"]
    manager = project.package_manager

    assert runtime.get("options") == ({"toolchain": manager} if manager in PULUMI_TOOLCHAINS else None)


def test_a_stack_file_has_the_sections_that_it_needs(project: Project) -> None:
    for name in project.names():
        if re.fullmatch(r"Pulumi\.[a-z]+\.yaml", name):
            salt = {"encryptionsalt"} if name == "Pulumi.local.yaml" else set()
            assert project.yaml(name).keys() == STACK_FILE | salt, name


def test_every_key_of_the_provider_exists_and_is_needed(default_project: Project, environment: Environment) -> None:
    where = "import importlib.util as u; print(*u.find_spec('pulumi_aws').submodule_search_locations)"
    folder = environment.run(default_project, "python", "-c", where).stdout.strip()
    stub = (Path(folder) / "config" / "__init__.pyi").read_text(encoding="utf-8")
    keys = {f"aws:{key}" for key in re.findall(r"^(\w+): ", stub, flags=re.MULTILINE)}

    for stack in ("dev", "local", "prod", "staging"):
        used = {key for key in default_project.yaml(f"Pulumi.{stack}.yaml")["config"] if key.startswith("aws:")}
        assert used <= keys
        assert used == {"aws:region"} | (LOCAL_ONLY.keys() if stack == "local" else set())


def test_the_local_stacks_switches_are_on_and_texts_as_pulumi_writes_them(project: Project) -> None:
    config = project.yaml("Pulumi.local.yaml")["config"]

    assert {config[key] for key in LOCAL_ONLY if not key.endswith(("accessKey", "secretKey"))} == {"true"}


def test_the_salt_of_the_local_stack_goes_with_its_passphrase(
    default_project: Project, environment: Environment
) -> None:
    """Derived as Pulumi derives it: PBKDF2 with SHA-256, a million times, then AES-256-GCM.

    https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/config/crypt.go
    """
    check = (
        "import base64, hashlib, sys\n"
        "from cryptography.hazmat.primitives.ciphers.aead import AESGCM\n"
        "from tools.local import PASSPHRASE\n"
        "version, salt, cipher, nonce, text = sys.argv[1].split(':')\n"
        "assert (version, cipher) == ('v1', 'v1')\n"
        "salt, nonce, text = map(base64.b64decode, (salt, nonce, text))\n"
        "key = hashlib.pbkdf2_hmac('sha256', PASSPHRASE.encode(), salt, 1_000_000, 32)\n"
        "print(AESGCM(key).decrypt(nonce, text, None).decode())\n"
    )
    salt = default_project.yaml("Pulumi.local.yaml")["encryptionsalt"]

    finished = environment.run(default_project, "python", "-c", check, salt)

    assert finished.stdout == "pulumi\n"


def test_the_stacks_differ_as_the_design_says(project: Project) -> None:
    retention = {"dev": 30, "local": 7, "prod": 365, "staging": 90}

    for stack, days in retention.items():
        config = project.yaml(f"Pulumi.{stack}.yaml")["config"]
        assert config[f"{project.slug}:logRetentionDays"] == days
        # An emulator's buckets go with it.
        assert config.get(f"{project.slug}:forceDestroy", False) is (stack == "local")
        assert config[f"{project.slug}:notificationEmail"] == QUESTIONS["author_email"]
        region = QUESTIONS[f"aws_region_{'dev' if stack == 'local' else stack}"]
        assert config["aws:region"] == region


# policies.toml


@pytest.fixture(scope="session", name="policies_tried")
def fixture_policies_tried(
    default_project: Project, environment: Environment, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    """What is found in stacks that break every policy, and which lines of policies.toml change nothing of it."""
    tried = []
    unchanged = ("", "")
    for broken, replaced in (
        (BROKEN_STACKS, unchanged),
        (BROKEN_STACKS_TOO, unchanged),
        (BROKEN_ON_ANOTHER_WAY, ANOTHER_WAY),
    ):
        project = default_project.copy(tmp_path_factory.mktemp("policies"))
        finished = environment.run(
            project, "python", "-c", MUTATE_POLICIES, json.dumps(broken), A_DAY, json.dumps(replaced)
        )
        assert finished.returncode == 0, finished.stdout
        tried.append(json.loads(finished.stdout.splitlines()[-1]))
    return tried


def test_every_line_of_the_policies_changes_what_is_found(policies_tried: list[dict[str, Any]]) -> None:
    first, *others = (tried["same"] for tried in policies_tried)
    unused = [line for line in first if all(line in other for other in others)]

    # CI reads these types; a unit test of the project compares them with the program.
    assert [line for line in unused if not re.match(r' {2}"aws:[^"]+",', line)] == []


def test_stacks_that_break_every_policy_are_told_so(policies_tried: list[dict[str, Any]]) -> None:
    found = {
        (finding["rule"], finding["severity"], finding["key"].partition(":")[2], *finding["stacks"])
        for tried in policies_tried
        for finding in tried["before"]
    }
    assert found == FOUND_IN_BROKEN_STACKS


# The dates of the runtimes


def test_the_questions_say_how_long_aws_supports_a_runtime_as_the_policies_do(default_project: Project) -> None:
    supported = default_project.toml("policies.toml")["runtimes"]["supported_until"]
    labels = {name: label for name, label in QUESTIONS["__prompts__"]["lambda_runtime"].items() if name[0] != "_"}

    assert supported.keys() == set(CHOICES["lambda_runtime"])
    for runtime, day in supported.items():
        version = runtime.removeprefix("python")
        assert labels[runtime] == f"Python {version}, supported by AWS until {day:%B %Y}"
        # AWS ends it with a month: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
        assert (day + timedelta(days=1)).day == 1, runtime


# LICENSE


def words_of_a_licence(text: str) -> str:
    """Digest the words of a licence, but the line that names the owner."""
    kept = [line for line in text.splitlines() if not re.match(r" *Copyright (\(c\) )?Platform Team", line)]
    return hashlib.sha256(" ".join(" ".join(kept).split()).encode()).hexdigest()


def test_the_licence_is_complete(project: Project) -> None:
    chosen = project.answers["license"]

    assert words_of_a_licence(project.read("LICENSE")) == LICENSE_DIGESTS[chosen]


def test_the_templates_own_licence_is_complete() -> None:
    text = re.sub(r"Copyright \(c\) .*", "Copyright (c) Platform Team", (ROOT / "LICENSE").read_text(encoding="utf-8"))

    assert words_of_a_licence(text) == LICENSE_DIGESTS["MIT"]
