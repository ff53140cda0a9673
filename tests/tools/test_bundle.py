"""Where the function's bundle is found."""

from pathlib import Path

import pulumi
import pytest

from tools import bundle


def test_a_bundle_is_named_for_what_it_runs_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "BUILD_FOLDER", tmp_path)
    (tmp_path / "processor-python3.13-arm64.zip").touch()

    archive = bundle.bundle_archive("dev", "python3.13", "arm64")

    assert archive.path == str(tmp_path / "processor-python3.13-arm64.zip")


def test_a_missing_bundle_stops_the_program_with_the_task_that_builds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "BUILD_FOLDER", tmp_path)

    with pytest.raises(pulumi.RunError, match=r"processor-python3.12-x86_64.zip is not in .*; the task `package`"):
        bundle.bundle_archive("prod", "python3.12", "x86_64")


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_a_bundle_is_named_by_what_it_runs_on(environment: str) -> None:
    path = bundle.bundle_path(environment, "python3.14", "x86_64")

    assert (path.parent, path.name) == (bundle.BUILD_FOLDER, "processor-python3.14-x86_64.zip")


def test_a_local_stacks_bundle_runs_on_this_machine_whatever_is_configured() -> None:
    assert bundle.bundle_path("local", "python3.14", "x86_64").name == "processor-local.zip"
