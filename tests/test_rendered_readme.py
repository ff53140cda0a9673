"""The README of every rendered project names what exists, and all of it."""

import re

from tests.projects import Project

# Commands of other tools that the README may name, by their first word.
OTHER_COMMANDS = {"aws", "cd"}
INSTALL = {"uv": "uv sync", "pipenv": "pipenv install --dev"}


def documents(project: Project) -> str:
    return project.read("README.md") + project.read("CONTRIBUTING.md")


def commands(project: Project) -> list[str]:
    """Find every command in blocks of shell code, and every one in running text that calls a task."""
    text = documents(project)
    blocks = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)).splitlines()
    return [*filter(None, blocks), *re.findall(rf"`({re.escape(project.run)} [^`]+)`", text)]


def named_tasks(project: Project) -> set[str]:
    called = [command for command in commands(project) if command.startswith(project.run)]
    return {command.removeprefix(project.run).split()[0] for command in called} - {"pre-commit"}


def exports(project: Project) -> list[str]:
    return re.findall(r'^pulumi\.export\("(\w+)", ', project.read("__main__.py"), flags=re.MULTILINE)


def section(project: Project, title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)^## ", project.read("README.md"), flags=re.MULTILINE | re.DOTALL)
    assert found, f"the README has no section {title}"
    return found[1]


def test_every_command_exists(project: Project) -> None:
    known = [f"{project.run} {task}" for task in project.tasks()]

    for command in commands(project):
        words = command.split()
        assert (
            command == INSTALL[project.package_manager]
            or words[0] in OTHER_COMMANDS
            or any(command == task or command.startswith(f"{task} ") for task in known)
            or command == f"{project.package_manager} run pre-commit install"
        ), command


def test_every_task_is_in_the_readme(project: Project) -> None:
    tasks = section(project, "Tasks")

    assert re.findall(
        rf"^\| `{re.escape(project.run)} ([\w-]+)(?: STACK| BODY)?` \|", tasks, flags=re.MULTILINE
    ) == list(project.tasks())
    assert named_tasks(project) <= set(project.tasks())


def test_a_task_takes_the_argument_that_the_readme_says(project: Project) -> None:
    tasks = section(project, "Tasks")

    for name, task in project.tasks().items():
        arguments = "".join(f" {argument['name'].upper()}" for argument in task.get("args", []))
        assert f"`{project.run} {name}{arguments}`" in tasks, name


def test_the_local_way_comes_first(project: Project) -> None:
    text = project.read("README.md")

    assert text.index(f"{project.run} local-up") < text.index(f"{project.run} pulumi-login")


def test_tasks_named_in_running_text_exist(project: Project) -> None:
    words = set(re.findall(r"`(pulumi-[a-z-]+)`", documents(project)))

    assert words <= {*project.tasks(), "pulumi-aws"}


def test_the_other_package_manager_is_not_mentioned(project: Project) -> None:
    other = {"uv": "pipenv", "pipenv": "uv run"}[project.package_manager]

    assert other not in documents(project).lower()


def test_every_task_explains_itself(project: Project) -> None:
    assert all(task["help"] for task in project.tasks().values())


def test_the_pipfiles_scripts_are_the_tasks(pipenv_project: Project) -> None:
    scripts = pipenv_project.toml("Pipfile")["scripts"]

    assert scripts == {name: f"poe {name}" for name in pipenv_project.tasks()}


def test_both_package_managers_have_the_same_tasks(default_project: Project, pipenv_project: Project) -> None:
    assert list(default_project.tasks()) == list(pipenv_project.tasks())


def test_both_package_managers_install_the_same(default_project: Project, pipenv_project: Project) -> None:
    assert default_project.requirements() == pipenv_project.requirements()


def test_the_outputs_are_those_of_the_program(project: Project) -> None:
    rows = "\n".join(line for line in section(project, "Outputs").splitlines() if line.startswith("| `"))

    assert len(exports(project)) == 12
    assert re.findall(r"`(\w+)`(?=[,| ])", rows) == exports(project)


def test_every_path_in_the_readme_exists(project: Project) -> None:
    text = documents(project)
    paths = {
        path for path in re.findall(r"`([\w./]+)`", text) if "/" in path or path.endswith((".py", ".yaml", ".toml"))
    }
    written_by_tasks = (".local", "build", "cfn-outputs", "coverage")
    examples = {"Pulumi.NAME.yaml", "messages/DATE/MESSAGE_ID.json"}

    for path in paths - examples:
        assert path.startswith(written_by_tasks) or (project.path / path).exists(), path


def test_every_rule_of_the_validation_is_in_the_readme(project: Project) -> None:
    sources = ["infrastructure/settings.py", "policies.toml"]
    sources += [name for name in project.python_files() if name.startswith("tools/validate/")]
    given = r'rule: str = "([a-z-]+)"|rule ?= ?"([a-z-]+)"|(?:inding|Problem)\(\s*(?:stack, )?"([a-z-]+)"'
    rules = {"".join(found) for name in sources for found in re.findall(given, project.read(name))}
    rows = re.findall(r"^\| ((?:`[a-z][a-z-]+`(?:, )?)+) \|", section(project, "Validation"), flags=re.MULTILINE)

    # The shell's endpoint is the program's concern: files say nothing of it.
    assert {rule for row in rows for rule in re.findall("`([a-z-]+)`", row)} == rules - {"endpoint"}


def test_every_option_of_the_validation_is_in_the_readme(project: Project) -> None:
    parser = project.read("tools/validate/command.py")
    options = set(re.findall(r'add_argument\(\s*"(--[a-z-]+)"', parser))
    rows = re.findall(r"^\| `(--[a-z-]+)[^`]*` \|", section(project, "Validation"), flags=re.MULTILINE)

    assert set(rows) == options


def test_every_setting_in_the_readme_exists(project: Project) -> None:
    settings = set(project.yaml("Pulumi.yaml")["config"])
    named = set(
        re.findall(
            r"`((?:lambda|batch|max|message|noncurrent|log|notification|bucket|kms|force)[A-Z]\w+)`", documents(project)
        )
    )

    assert named <= settings


def test_the_readme_describes_the_backend_that_was_chosen(project: Project) -> None:
    text = project.read("README.md")
    described = {
        "pulumi-cloud": "kept in [Pulumi Cloud]",
        "s3": "kept in an S3 bucket",
        "local-file": "kept in the folder `.pulumi`",
    }

    for backend, words in described.items():
        assert (words in text) is (backend == project.answers["state_backend"])


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


def test_the_readme_has_what_a_newcomer_looks_for(project: Project) -> None:
    text = project.read("README.md")
    titles = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)

    assert "```mermaid" in text
    assert titles == [
        "First steps",
        "On your own machine",
        "On AWS",
        "Tasks",
        "Where things are",
        "Configuration",
        "Outputs",
        "How errors travel",
        "Integration tests",
        "Validation",
        "Another stack",
        "Another runtime",
        "Costs",
        "Troubleshooting",
        "Licence",
    ]


def test_lines_of_prose_fit_into_120_columns(project: Project) -> None:
    for line in documents(project).splitlines():
        assert len(line) <= 120 or line.startswith(("| ", "aws ")), line
