"""Tests of reading ``policies.toml``: values, and messages about mistakes."""

from pathlib import Path

import pytest

from tools.project import PROJECT_FOLDER
from tools.validate.policies import FILE, IgnoredDrift, PoliciesError, read_policies

POLICIES = (PROJECT_FOLDER / FILE).read_text(encoding="utf-8")
# A text in policies.toml, its replacement, and the expected problem.
BAD = {
    "unknown table": ("namespaces", "namespace", "namespace: unknown key"),
    "unknown environment": ("staging = [", "qa = [", "comes_after.qa: found \"qa\"; Input should be 'local', 'dev', "),
    "misspelt setting": (
        'setting = "batchSize"',
        'setting = "batchsize"',
        'values.4.setting: found "batchsize"; unknown setting; did you mean batchSize?',
    ),
    "removed setting": (
        'lambdaMemoryMb = "higher"',
        'zzz = "higher"',
        'stronger.zzz: found "zzz"; unknown setting; remove it',
    ),
    "unknown key of a policy": ('rule = "region"', 'rule = "region"\ncount = 1', "values.3.count: unknown key"),
    "direction of a number": ('"higher"', '"true"', 'stronger.lambdaMemoryMb: found "true"; allowed: higher or lower'),
    "direction of a boolean": ('"false"', '"set"', 'stronger.forceDestroy: found "set"; allowed: true or false'),
    "direction of a provider's key": (
        'kmsKeyArn = "set"',
        '"aws:profile" = "higher"',
        'stronger.aws:profile: found "higher"; allowed: set or empty',
    ),
    "no values": (
        "allowed = [false]",
        "allowed = []",
        "values.1: needs exactly one of `allowed`, `minimum`/`maximum` and",
    ),
    "values of two kinds": (
        "allowed = [5, 10]",
        "allowed = [5]\nminimum = 5",
        "values.4: needs exactly one of `allowed`, ",
    ),
    "forbidden without instead": (
        'instead = "an address that people read"',
        "",
        "values.2: needs both `forbidden` and `instead` (the permitted values, in words), or neither",
    ),
    "bounds of a boolean": ("allowed = [false]", "minimum = 1", "values.1: `minimum` and `maximum` are only for a "),
    "bounds of a provider's key": (
        'allowed = ["us-east-1", "eu-west-1"]',
        "maximum = 1",
        "values.3: `minimum` and `maximum` are only for a setting that is a number",
    ),
    "impossible value": (
        "[5, 10]",
        '[5, 20000, "many"]',
        'values.4: batchSize can never be "20000", "many"; allowed: a whole number from 1 to 10000',
    ),
    "value of another type": ("[5, 10]", "[2026-05-30]", 'values.4: batchSize can never be "2026-05-30"; allowed: '),
    "bad regular expression": ('"nobody@.*"', '"("', 'values.2.forbidden: found "("; Input should be a valid regular'),
    "bad rule name": ('rule = "region"', 'rule = "The Region"', 'values.3.rule: found "The Region"; String should '),
    "type without a class": ("s3/bucket:Bucket", "s3/bucket", 'stateful.types.1: found "aws:s3/bucket"; String should'),
    "no stateful resources": ("[stateful]\ntypes", "[drift.x]\ny", "stateful: is not set"),
    "repair without a type": ("aws:lambda/alias:Alias ", "alias ", 'drift.repair.2: found "alias functionVersion"; S'),
    "ignore without a type": ('{ type = "aws', '{ type = "', 'drift.ignore.1.type: found ":dynamodb/table:Table"'),
    "ignore without a property": ('"warmThroughput"', '""', 'drift.ignore.1.property: found ""; String should have'),
    "ignore without a reason": (', reason = "AWS adjusts it"', "", "drift.ignore.1.reason: is not set"),
    "unknown runtime": ('"python3.11"', '"python3.1"', "runtimes.supported_until.python3.1: found "),
    "missing runtime": ('"python3.14" = 2029-06-30', "", "runtimes.supported_until: Dictionary should have at least 4"),
    "escape sequence": ("namespaces", '"\\u001b[31m\\n::error::x"', "\\x1b[31m\\n::error::x: unknown key"),
    "not TOML": ("[stronger]", "[stronger", "invalid TOML: Expected ']' at the end of a table declaration"),
}


def write(folder: Path, text: str) -> Path:
    """Write the policies to a folder, with a byte order mark, as some Windows editors do."""
    (folder / FILE).write_text(text, encoding="utf-8-sig")
    return folder


@pytest.mark.parametrize("name", BAD)
def test_mistake_is_refused_with_its_place(tmp_path: Path, name: str) -> None:
    old, new, problem = BAD[name]
    assert old in POLICIES

    with pytest.raises(PoliciesError) as refusal:
        read_policies(write(tmp_path, POLICIES.replace(old, new, 1)))

    lines = str(refusal.value).splitlines()
    assert any(line.startswith(f"{FILE}: {problem}") for line in lines)
    assert all(line.startswith(f"{FILE}: ") for line in lines)


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    text = POLICIES.replace("namespaces", "namespace").replace('setting = "batchSize"', 'setting = "size"')

    with pytest.raises(PoliciesError) as refusal:
        read_policies(write(tmp_path, text))

    assert len(str(refusal.value).splitlines()) == 3


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PoliciesError, match=rf"^{FILE}: does not exist in "):
        read_policies(tmp_path)


def test_values_are_read_as_configuration_text(tmp_path: Path) -> None:
    policies = read_policies(write(tmp_path, POLICIES.replace('["us-east-1", "eu-west-1"]', '[5, true, ["a", 1]]')))

    assert [policy.allowed for policy in policies.values] == [("false",), (), ("5", "true", '["a", "1"]'), ("5", "10")]


def test_drift_policies_are_types_and_properties(tmp_path: Path) -> None:
    policies = read_policies(write(tmp_path, POLICIES))

    assert policies.stateful.types == ("aws:s3/bucket:Bucket", "aws:dynamodb/table:Table")
    assert policies.drift.repair == (
        "aws:sns/topicSubscription:TopicSubscription",
        "aws:lambda/alias:Alias functionVersion",
    )
    ignored = IgnoredDrift(type="aws:dynamodb/table:Table", property="warmThroughput", reason="AWS adjusts it")
    assert policies.drift.ignore == (ignored,)
    start, end = POLICIES.index("[drift]"), POLICIES.index("[runtimes]")
    drift = read_policies(write(tmp_path, POLICIES[:start] + POLICIES[end:])).drift
    assert (drift.repair, drift.ignore) == ((), ())
