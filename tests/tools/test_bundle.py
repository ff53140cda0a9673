"""The location of the function's bundle."""

from pathlib import Path

import pulumi
import pytest

from tools import bundle


def test_the_program_gets_the_bundle_for_its_runtime_and_architecture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "BUILD_FOLDER", tmp_path)
    (tmp_path / "processor-python3.13-arm64.zip").touch()

    archive = bundle.bundle_archive("dev", "python3.13", "arm64")

    assert archive.path == str(tmp_path / "processor-python3.13-arm64.zip")


def test_a_missing_bundle_stops_the_program_and_names_the_task_that_builds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "BUILD_FOLDER", tmp_path)

    with pytest.raises(pulumi.RunError, match=r"processor-python3.12-x86_64.zip is not in .*; the task `package`"):
        bundle.bundle_archive("prod", "python3.12", "x86_64")


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_a_bundle_is_named_after_its_runtime_and_architecture(environment: str) -> None:
    path = bundle.bundle_path(environment, "python3.14", "x86_64")

    assert (path.parent, path.name) == (bundle.BUILD_FOLDER, "processor-python3.14-x86_64.zip")


def test_a_local_stacks_bundle_is_for_this_machine_whatever_is_configured() -> None:
    assert bundle.bundle_path("local", "python3.14", "x86_64").name == "processor-local.zip"
