"""Time to validate many stack files: the whole process, compared with only its imports."""

from collections.abc import Iterator

from benchmarks.measure import in_turn, print_table
from tests.projects import Environment, Project

ROUNDS = 5
STACKS = (4, 50, 200)
# Stacks of these environments are compared with each other; each file has every setting.
ENVIRONMENTS = ("dev", "staging", "prod")
STATUSES = (0, 1)
IMPORTS = "import infrastructure.settings, rich.console, rich.table, yaml"


def main(project: Project, environment: Environment) -> None:
    """Print a row for each number of stacks."""
    # In practice the bytecode is cached.
    environment.run(project, "python", "-m", "tools.validate")

    def run(*arguments: str) -> None:
        finished = environment.run(project, "python", *arguments)
        if finished.returncode not in STATUSES:
            raise RuntimeError(finished.stdout)

    rows = []
    for number in STACKS:
        lines = sum(map(write_stack, [project] * number, range(number)))
        times = in_turn(
            {
                "imports": lambda: run("-c", IMPORTS),
                "validate": lambda: run("-m", "tools.validate"),
            },
            ROUNDS,
        )
        rows.append(
            (
                str(number),
                str(lines),
                f"{times['validate']:.2f} s",
                f"{times['imports']:.2f} s",
                f"{times['validate'] / times['imports']:.1f}",
                f"{(times['validate'] - times['imports']) / number * 1000:.1f} ms",
            )
        )
    print_table(
        "Validating stack files, the whole process",
        ("stacks", "lines", "median", "imports only", "ratio", "per stack"),
        rows,
    )


def write_stack(project: Project, number: int) -> int:
    """Write a stack file with every setting, and return the number of its lines."""
    lines = list(_lines(project, number))
    (project.path / f"Pulumi.bench-{number}.yaml").write_text("\n".join([*lines, ""]), encoding="utf-8")
    return len(lines)


def _lines(project: Project, number: int) -> Iterator[str]:
    environment = ENVIRONMENTS[number % len(ENVIRONMENTS)]
    own = project.yaml(f"Pulumi.{environment}.yaml")["config"]
    declared = project.yaml("Pulumi.yaml")["config"]
    defaults = {f"{project.slug}:{key}": each["default"] for key, each in declared.items() if "default" in each}
    yield "config:"
    for key, value in (defaults | own | {f"{project.slug}:environmentSuffix": f"bench-{number}"}).items():
        yield f'  {key}: "{str(value).lower() if isinstance(value, bool) else value}"'
    yield "  aws:defaultTags:"
    yield "    tags:"
    yield f"      Stack: bench-{number}"
