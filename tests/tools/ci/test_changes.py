"""The output of a preview: which resources change, and how."""

import pytest

from tests.ci.recorded import BUCKET, FUNCTION, NOT_FOR_PEOPLE, preview, stack_step, step
from tools.ci.changes import UnreadablePreviewError, drifted, read_errors, read_preview
from tools.validate.report import Resource

PROVIDER = {
    "op": "update",
    "urn": "urn:pulumi:dev::orders::pulumi:providers:aws::default_7_51_0",
    "newState": {"custom": True, "type": "pulumi:providers:aws"},
    "detailedDiff": {"version": {"kind": "update"}},
}


@pytest.mark.parametrize(
    ("operation", "read"),
    [
        ("create", "create"),
        ("import", "import"),
        ("update", "update"),
        ("delete", "delete"),
        ("replace", "replace"),
        ("create-replacement", "replace"),
        ("delete-replaced", "replace"),
        ("import-replacement", "replace"),
    ],
)
def test_an_operation_that_changes_a_resource_is_read(operation: str, read: str) -> None:
    (change,) = read_preview(preview(step(operation, BUCKET, "payloads")), {BUCKET})

    assert (change.operation, change.name, change.type, change.holds_data) == (read, "payloads", BUCKET, True)


@pytest.mark.parametrize(
    "operation",
    ["same", "read", "read-replacement", "refresh", "discard", "discard-replaced", "remove-pending-replace"],
)
def test_an_operation_that_changes_no_resource_is_left_out(operation: str) -> None:
    assert read_preview(preview(step(operation, BUCKET, "payloads")), {BUCKET}) == ()


@pytest.mark.parametrize("ours", [stack_step("create"), PROVIDER], ids=["stack", "provider"])
def test_what_is_only_the_engines_is_left_out(ours: dict[str, object]) -> None:
    assert read_preview(preview(ours), ()) == ()


def test_the_steps_of_a_replacement_are_one_change() -> None:
    steps = (step("create-replacement", BUCKET, "payloads", "bucket"), step("replace", BUCKET, "payloads", "acl"))

    (change,) = read_preview(preview(*steps, step("delete-replaced", BUCKET, "payloads")), ())

    assert (change.operation, change.properties) == ("replace", ("acl", "bucket"))


@pytest.mark.parametrize("operation", ["create", "import", "delete"])
def test_the_properties_of_a_whole_resource_are_not_listed(operation: str) -> None:
    (change,) = read_preview(preview(step(operation, BUCKET, "payloads", "bucket")), ())

    assert change.properties == ()


def test_without_a_detailed_diff_the_engines_reasons_are_listed() -> None:
    update = step("update", FUNCTION, "processor", diffReasons=["memorySize"])

    (change,) = read_preview(preview(update, step("update", FUNCTION, "other")), ())[:1]

    assert change.properties == ("memorySize",)


def test_no_value_is_kept() -> None:
    changes = read_preview(preview(step("update", FUNCTION, "processor", "memorySize")), ())

    assert NOT_FOR_PEOPLE not in repr(changes)


@pytest.mark.parametrize(
    "output",
    ["", "[]", '{"steps": [{}]}', '{"steps": [{"op": "explode", "urn": "a::b::c::d"}]}', '{"steps": 1}'],
    ids=["empty", "no object", "no operation", "unknown operation", "no list"],
)
def test_an_unexpected_output_is_an_error(output: str) -> None:
    with pytest.raises(UnreadablePreviewError, match=r"^the output of `pulumi preview --json` cannot be read: "):
        read_preview(output, ())


def test_a_preview_without_steps_has_no_changes() -> None:
    assert read_preview("{}", ()) == ()


def test_only_errors_are_read_as_errors() -> None:
    assert read_errors(preview(errors=("first", "second"))) == "error: first\n\nerror: second\n"


@pytest.mark.parametrize("output", ["", "[]", '{"diagnostics": [{}]}', '{"diagnostics": 1}'])
def test_an_unexpected_output_has_no_errors(output: str) -> None:
    assert read_errors(output) == ""


def test_a_resource_that_has_drifted_is_a_change_without_values() -> None:
    resource = Resource(urn="u", name="payloads", type=BUCKET, operation="deleted")

    (change,) = drifted([resource], {BUCKET})

    assert (change.operation, change.holds_data, change.loses_data) == ("deleted", True, False)
