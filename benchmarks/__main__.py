"""Measures all figures in ``benchmarks/README.md``: ``make bench``."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import in_turn, print_table, rendered, write_config
from hooks.post_gen_project import OWNED
from tests.combinations import LAST, LAST_VERSION, ROOT
from tests.projects import Environment, Project

STEPS: dict[str, tuple[str, ...]] = {
    "`ruff format --check`": ("ruff", "format", "--check"),
    "`ruff check`": ("ruff", "check", "--no-cache"),
    "`pylint`": ("pylint", "."),
    "`ty check`": ("ty", "check"),
    "unit tests": ("pytest", "-q", "-p", "no:cacheprovider"),
    "unit tests, coverage and reports": ("poe", "test-py-unit"),
    "`check`, steps in parallel": ("poe", "check"),
}
STACKS = (4, 50, 200)
# The environments of the generated stacks, in rotation.
ENVIRONMENTS = ("dev", "staging", "prod")


def main() -> None:
    """Measure the rendering, the changes since the last release, and a rendered project in its virtual environment."""
    measure_rendering()
    count_changes()
    with rendered() as (project, environment):
        finished = environment.run(project, "python", str(ROOT / "benchmarks" / "function_timing.py"))
        finished.check_returncode()
        rows = [line.split(";") for line in finished.stdout.splitlines()]
        columns = ("messages in a batch", "with Powertools", "without", "ratio", "extra per message")
        print_table("The function's own time, with stubbed AWS calls", columns, rows)
        measure_gate(project, environment)
        # Measured last, because this adds stacks to the project.
        measure_validation(project, environment)


def measure_rendering() -> None:
    """Time a whole Cookiecutter process with this template and with an empty template."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        empty = folder / "empty"
        (empty / "{{cookiecutter.project_slug}}").mkdir(parents=True)
        (empty / "cookiecutter.json").write_text('{"project_slug": "empty"}\n', encoding="utf-8")
        options = ["--no-input", "--config-file", str(write_config(folder))]

        def render(template: Path) -> Path:
            output = tempfile.mkdtemp(dir=folder)
            command = [sys.executable, "-m", "cookiecutter", str(template), *options, "--output-dir", output]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            return Path(output)

        templates = {"this one": ROOT, "empty": empty}
        files = {name: sum(path.is_file() for path in render(path).rglob("*")) for name, path in templates.items()}
        times = in_turn({name: lambda path=path: render(path) for name, path in templates.items()}, 11)
    rows = [(name, str(files[name]), f"{time:.2f} s", f"{time / times['empty']:.2f}") for name, time in times.items()]
    print_table("Rendering, Cookiecutter's whole process", ("template", "files", "median", "ratio"), rows)


def count_changes() -> None:
    """Count the lines changed since the last release, by owner: updates merge only the team's files."""
    diff = ["git", "diff", "--numstat", "--no-renames", "--relative", LAST, "--", "."]
    folder = ROOT / "{{cookiecutter.project_slug}}"
    changed = subprocess.run(diff, cwd=folder, check=True, capture_output=True, encoding="utf-8").stdout
    counts = {"the template's": 0, "the team's": 0}
    for line in changed.splitlines():
        added, removed, name = line.split("\t")
        # Jinja's conditions in the names of files.
        owner = "the template's" if re.sub("{%.*?%}", "", name).startswith(OWNED) else "the team's"
        counts[owner] += sum(int(number) for number in (added, removed) if number != "-")
    total = sum(counts.values()) or 1
    rows = [(owner, str(count), f"{100 * count / total:.0f} %") for owner, count in counts.items()]
    print_table(f"Lines changed since {LAST_VERSION}, before rendering", ("files", "lines", "share"), rows)


def measure_gate(project: Project, environment: Environment) -> None:
    """Time the steps of `check`, relative to the type checker."""
    actions = {
        name: lambda step=step: environment.run(project, *step).check_returncode() for name, step in STEPS.items()
    }
    times = in_turn(actions, 3)
    rows = [(name, f"{time:.2f} s", f"{time / times['`ty check`']:.2f}") for name, time in times.items()]
    print_table("The rendered `check`", ("step", "median", "ratio to ty"), rows)


def measure_validation(project: Project, environment: Environment) -> None:
    """Time `validate` for several numbers of stacks, relative to `validate --help`, which has the same imports."""

    def run(*options: str) -> None:
        finished = environment.run(project, "python", "-m", "tools.validate", *options)
        # Status 1 is expected, because the generated stacks break rules.
        if finished.returncode not in (0, 1):
            raise RuntimeError(finished.stdout)

    rows = []
    for number in STACKS:
        lines = sum(write_stack(project, each) for each in range(number))
        times = in_turn({"help": lambda: run("--help"), "validate": run}, 5)
        extra = (times["validate"] - times["help"]) / number * 1000
        seconds = [f"{times[name]:.2f} s" for name in ("validate", "help")]
        rows.append((str(number), str(lines), *seconds, f"{times['validate'] / times['help']:.1f}", f"{extra:.1f} ms"))
    columns = ("stacks", "lines", "median", "only `--help`", "ratio", "per stack")
    print_table("The whole process of `validate`, for stack files with every setting", columns, rows)


def write_stack(project: Project, number: int) -> int:
    """Write a stack file with every setting, and return the number of lines."""
    lines = [*_lines(project, number)]
    (project.path / f"Pulumi.bench-{number}.yaml").write_text("\n".join([*lines, ""]), encoding="utf-8")
    return len(lines)


def _lines(project: Project, number: int) -> Iterator[str]:
    own = project.yaml(f"Pulumi.{ENVIRONMENTS[number % len(ENVIRONMENTS)]}.yaml")["config"]
    declared = project.yaml("Pulumi.yaml")["config"]
    defaults = {f"{project.slug}:{key}": each["default"] for key, each in declared.items() if "default" in each}
    yield "config:"
    for key, value in (defaults | own | {f"{project.slug}:environmentSuffix": f"bench-{number}"}).items():
        yield f'  {key}: "{str(value).lower() if isinstance(value, bool) else value}"'
    yield f"  aws:defaultTags: {{tags: {{Stack: bench-{number}}}}}"


if __name__ == "__main__":
    main()
