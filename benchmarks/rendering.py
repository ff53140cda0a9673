"""Time to render this template, compared with an empty one: Cookiecutter's whole process."""

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import in_turn, print_table
from tests.combinations import ROOT

ROUNDS = 11


def main() -> None:
    """Print the ratio, and the number of rendered files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        empty = folder / "empty"
        (empty / "{{cookiecutter.project_slug}}").mkdir(parents=True)
        (empty / "cookiecutter.json").write_text('{"project_slug": "empty"}\n', encoding="utf-8")
        config = folder / "config.yaml"
        config.write_text(f"replay_dir: {folder / 'replay'}\ncookiecutters_dir: {folder}\n", encoding="utf-8")

        def render(template: Path) -> Path:
            output = tempfile.mkdtemp(dir=folder)
            options = ["--no-input", "--config-file", str(config), "--output-dir", output]
            command = [sys.executable, "-m", "cookiecutter", str(template), *options]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            return Path(output)

        files = sum(path.is_file() for path in render(ROOT).rglob("*"))
        times = in_turn({"this": lambda: render(ROOT), "empty": lambda: render(empty)}, ROUNDS)
    print_table(
        "Rendering, the whole process",
        ("template", "files", "median", "ratio"),
        [
            ("this one", str(files), f"{times['this']:.2f} s", f"{times['this'] / times['empty']:.2f}"),
            ("empty", "0", f"{times['empty']:.2f} s", "1.00"),
        ],
    )
