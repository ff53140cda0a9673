"""Mistakes in ``policies.toml``."""

from pathlib import Path

import pytest

from tests.validate.folder import POLICIES
from tools.configuration.checks import KEYS
from tools.validate.policies import FILE, PoliciesError, read_policies

BAD = {
    "unknown table": (
        "namespaces",
        "namespace",
        [
            "namespaces: missing",
            (
                "namespace: unknown key; allowed: namespaces, credentials, comes_after, stronger, values, unique, "
                "data, runtimes"
            ),
        ],
    ),
    "unknown environment": (
        "staging = [",
        "qa = [",
        ["comes_after.qa: found \"qa\"; allowed: 'local', 'dev', 'staging' or 'prod'"],
    ),
    "text where a list belongs": (
        'environments = ["prod", "staging"]',
        'environments = "prod"',
        ['[[values]] number 1 (force-destroy).environments: found "prod"; allowed: a list'],
    ),
    "unknown setting": (
        'setting = "batchSize"',
        'setting = "batchsize"',
        [f'[[values]] number 4 (small-batches).setting: found "batchsize"; allowed: {", ".join(KEYS)}, or a provider'],
    ),
    "unknown key of a policy": (
        'rule = "region"',
        'rule = "region"\ncount = 1',
        ["[[values]] number 3 (region).count: unknown key; allowed: rule, setting, environments, severity"],
    ),
    "unknown key of the runtimes": (
        "warning_days = 90",
        "warning_days = 90\ndays = 1",
        ["runtimes.days: unknown key; allowed: warning_days, supported_until"],
    ),
    "unknown key of the data": (
        "[data]\n",
        "[data]\nkinds = []\n",
        ["data.kinds: unknown key; allowed: types"],
    ),
    "type without a class": (
        '"aws:s3/bucket:Bucket"',
        '"aws:s3/bucket"',
        ['data.types.0: found "aws:s3/bucket"; allowed: the type of a resource, for example aws:s3/bucket:Bucket'],
    ),
    "no types": (
        '[data]\ntypes = ["aws:s3/bucket:Bucket", "aws:dynamodb/table:Table"]\n',
        "",
        ["data: missing"],
    ),
    "setting without a known strength": (
        'lambdaMemoryMb = "higher"',
        'lambdaMemory = "higher"',
        ['stronger.lambdaMemory: found "lambdaMemory"; allowed: '],
    ),
    "direction that does not fit a number": (
        'lambdaMemoryMb = "higher"',
        'lambdaMemoryMb = "true"',
        ['stronger.lambdaMemoryMb: "true"; allowed: higher or lower'],
    ),
    "direction that does not fit a boolean": (
        'forceDestroy = "false"',
        'forceDestroy = "set"',
        ['stronger.forceDestroy: "set"; allowed: true or false'],
    ),
    "direction that does not fit a provider's key": (
        'kmsKeyArn = "set"',
        '"aws:profile" = "higher"',
        ['stronger.aws:profile: "higher"; allowed: set or empty'],
    ),
    "no values": (
        "allowed = [false]",
        "allowed = []",
        ["[[values]] number 1 (force-destroy): allowed: one of a non-empty `allowed`, `minimum` and `maximum`"],
    ),
    "values of two kinds": (
        'instead = "an address that people read"',
        'instead = "an address"\nallowed = ["team@example.com"]',
        ["[[values]] number 2 (placeholder-email): allowed: one of a non-empty `allowed`"],
    ),
    "forbidden without instead": (
        'instead = "an address that people read"',
        "",
        ["[[values]] number 2 (placeholder-email): allowed: `instead`, what to use in words, together with"],
    ),
    "bounds of a setting that is not a number": (
        "allowed = [false]",
        "minimum = 1",
        ["[[values]] number 1 (force-destroy): allowed: `minimum` and `maximum` only for a setting that is a number"],
    ),
    "bounds of a provider's key": (
        'setting = "aws:region"\nenvironments = ["prod"]\nallowed = ["us-east-1", "eu-west-1"]',
        'setting = "aws:region"\nminimum = 1',
        ["[[values]] number 3 (region): allowed: `minimum` and `maximum` only for a setting that is a number"],
    ),
    "value that the setting can never have": (
        "allowed = [5, 10]",
        'allowed = [5, 20000, "many"]',
        ['number 4 (small-batches): batchSize can never be "20000", "many"; allowed: a whole number from 1 to 10000'],
    ),
    "invalid regular expression": (
        'forbidden = "nobody@.*"',
        'forbidden = "("',
        ['number 2 (placeholder-email).forbidden: found "("; allowed: a regular expression; missing ), unterminated'],
    ),
    "invalid rule name": (
        'rule = "region"',
        'rule = "The Region"',
        ['[[values]] number 3 (The Region).rule: found "The Region"; allowed: lower-case words and digits, joined by'],
    ),
    "reserved rule name": (
        'rule = "region"',
        'rule = "unreadable-file"',
        ['number 3 (unreadable-file).rule: found "unreadable-file"; allowed: any other name'],
    ),
    "value of an invalid type": (
        "allowed = [5, 10]",
        "allowed = [5.5]",
        ["[[values]] number 4 (small-batches).allowed.0: allowed: a string, a number, true or false, or a list of"],
    ),
    "unknown key of a unique value": (
        'within = "account"',
        'within = "account"\ncount = 1',
        ["[[unique]] number 1 (same-suffix).count: unknown key; allowed: rule, setting, within, because, instead,"],
    ),
    "unknown scope of a unique value": (
        'within = "account"',
        'within = "region"',
        ["[[unique]] number 1 (same-suffix).within: found \"region\"; allowed: 'account' or 'everywhere'"],
    ),
    "unique value without instead": (
        'instead = "a suffix of its own"',
        'instead = ""',
        ['[[unique]] number 1 (same-suffix).instead: found ""; allowed: a non-empty string'],
    ),
    "generated name with an unknown setting": (
        "{environmentSuffix}-logs",
        "{suffix}-logs",
        [
            'number 2 (same-bucket-name).besides.0: found "{project}-{suffix}-logs-[0-9]{12}"; found {suffix}; allowed',
            "allowed: {project}, or a setting: environment, environmentSuffix, ",
        ],
    ),
    "generated name that is no regular expression": (
        "payloads-[0-9]{12}",
        "payloads-[0-9",
        [
            "number 2 (same-bucket-name).when_empty.0: found",
            "allowed: a regular expression; unterminated character set",
        ],
    ),
    "invalid number": (
        "warning_days = 90",
        'warning_days = "soon"',
        ['runtimes.warning_days: found "soon"; allowed: a whole'],
    ),
    "invalid date": (
        "2026-05-30",
        '"soon"',
        ['runtimes.supported_until.python3.11: found "soon"; allowed: a date like 2027-06-30, without quotes'],
    ),
    "unknown runtime": (
        '"python3.11"',
        '"python3.1"',
        ['supported_until.python3.1: found "python3.1"; allowed: \'python'],
    ),
    "missing runtime": ('"python3.14" = 2029-06-30', "", ["runtimes: supported_until lacks python3.14"]),
    "no environments": (
        'environments = ["prod", "staging"]',
        "environments = []",
        ["[[values]] number 1 (force-destroy).environments: allowed: a non-empty list"],
    ),
    "too long a warning": (
        "warning_days = 90",
        "warning_days = 10000000000",
        ["runtimes.warning_days: allowed: 0 to 3650"],
    ),
    "negative warning": ("warning_days = 90", "warning_days = -1", ["runtimes.warning_days: allowed: 0 to 3650"]),
    "pattern too large": (
        'forbidden = "nobody@.*"',
        f'forbidden = "a{{{"9" * 20}}}"',
        ["number 2 (placeholder-email).forbidden: found", "allowed: a regular expression; "],
    ),
    "pattern too deep": (
        'forbidden = "nobody@.*"',
        f'forbidden = "{"(" * 3000}{")" * 3000}"',
        ["number 2 (placeholder-email).forbidden: found", "allowed: a regular expression; "],
    ),
    "pattern with a future meaning": (
        'forbidden = "nobody@.*"',
        'forbidden = "[[a]"',
        ["allowed: a regular expression; Possible nested set"],
    ),
    "key with an escape sequence": (
        "namespaces",
        '"\\u001b[31m\\n::error::x"',
        ["\\x1b[31m\\n::error::x: unknown key"],
    ),
    "huge number": ("warning_days = 90", f"warning_days = {'9' * 5000}", ["is not TOML: "]),
    "deeply nested arrays": ("[5, 10]", f"{'[' * 5000}{']' * 5000}", ["is not TOML: "]),
    "invalid TOML": ("[stronger]", "[stronger", ["is not TOML: Expected ']' at the end of a table declaration"]),
}


def written(folder: Path, text: str) -> Path:
    (folder / FILE).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", BAD)
def test_a_mistake_is_refused_with_the_place_and_what_is_allowed(tmp_path: Path, name: str) -> None:
    old, new, problems = BAD[name]
    assert old in POLICIES

    with pytest.raises(PoliciesError) as refusal:
        read_policies(written(tmp_path, POLICIES.replace(old, new, 1)))

    lines = str(refusal.value).splitlines()
    assert all(line.startswith(f"{FILE}: ") for line in lines)
    for problem in problems:
        assert problem in str(refusal.value)


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    text = POLICIES.replace("namespaces", "namespace").replace('setting = "batchSize"', 'setting = "size"')

    with pytest.raises(PoliciesError) as refusal:
        read_policies(written(tmp_path, text))

    assert len(str(refusal.value).splitlines()) == 3


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PoliciesError, match=rf"^{FILE}: does not exist in "):
        read_policies(tmp_path)


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"# \xe9")

    with pytest.raises(PoliciesError, match=rf"^{FILE}:1: is not UTF-8$"):
        read_policies(tmp_path)


def test_a_policy_that_is_not_a_table_is_refused(tmp_path: Path) -> None:
    text = POLICIES.partition("[[values]]")[0] + POLICIES[POLICIES.index("[data]") :]

    with pytest.raises(PoliciesError, match=rf"^{FILE}: \[\[values\]\] number 1 \(not a table\): allowed: a table$"):
        read_policies(written(tmp_path, f"values = [1]\n{text}"))


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(POLICIES, encoding="utf-8-sig")

    assert read_policies(tmp_path).namespaces == ("aws", "pulumi")


def test_a_toml_value_is_compared_as_configuration_text(tmp_path: Path) -> None:
    policies = read_policies(written(tmp_path, POLICIES))

    assert [policy.allowed for policy in policies.values] == [("false",), (), ("us-east-1", "eu-west-1"), ("5", "10")]
