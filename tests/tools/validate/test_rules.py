"""Tests of the rules for stack files: each rule is broken in an otherwise valid project."""

import re
from collections.abc import Callable
from datetime import date

import pytest

from tests.validate.folder import KEYS, STACKS, TODAY, ProjectFolder
from tools.validate.report import Setting

ACCOUNT = "123456789012"
OTHER_ACCOUNT = ACCOUNT[::-1]
KEY_ARN = "arn:aws:kms:{}:123456789012:key/11111111-2222-3333-4444-555555555555"
BATCH_POLICY = '\n[[values]]\nrule = "batch"\nsetting = "batchSize"\nenvironments = ["prod"]\n'
Change = Callable[[ProjectFolder], object]


def several(*changes: Change) -> Change:
    return lambda folder: [change(folder) for change in changes]


def settings(key: str, **values: str | None) -> Change:
    """Return a change that sets ``key`` in each named stack to the given value; None removes the key."""
    return lambda folder: [folder.set(stack, key, value) for stack, value in values.items()]


def appended(name: str, text: str) -> Change:
    return lambda folder: folder.append(name, text)


def replaced(name: str, old: str, new: str) -> Change:
    return lambda folder: folder.replace(name, old, new)


# A change and its only finding, in which "..." matches any text.
BROKEN: dict[str, tuple[Change, str]] = {
    "bad value": (
        settings("lambdaMemoryMb", dev="64"),
        'Pulumi.dev.yaml:4 error bad-value: orders:lambdaMemoryMb: found "64"; allowed: a whole number from 128 to ...',
    ),
    "missing key": (
        settings("notificationEmail", dev=None),
        "Pulumi.dev.yaml:1 error missing-key: orders:notificationEmail: is not set; allowed: an e-mail address",
    ),
    "misspelt key": (
        replaced("Pulumi.dev.yaml", "orders:lambdaMemoryMb", "orders:lambdaMemoryMB"),
        "Pulumi.dev.yaml:4 error unknown-key: orders:lambdaMemoryMB: unknown key; did you mean orders:lambdaMemoryMb?",
    ),
    "wrong namespace": (
        replaced("Pulumi.dev.yaml", "orders:lambdaMemoryMb", "order:lambdaMemoryMb"),
        'Pulumi.dev.yaml:4 error wrong-namespace: order:lambdaMemoryMb: ... "order"; the key is orders:lambdaMemoryMb',
    ),
    "unknown namespace": (
        settings("datadog:site", dev="eu"),
        "Pulumi.dev.yaml:8 error unknown-namespace: ... allowed: orders, aws, pulumi (policies.toml lists ...",
    ),
    "duplicate key": (
        appended("Pulumi.dev.yaml", "  aws:defaultTags:\n    tags:\n      Team: a\n      Team: b\n"),
        "Pulumi.dev.yaml:11 error unreadable-file: duplicate key Team; first defined on line 10",
    ),
    "unknown section": (
        appended("Pulumi.dev.yaml", "Config:\n  orders:batchSize: 5\n"),
        "Pulumi.dev.yaml:8 error unknown-section: Config: unknown section; allowed: config, ... encryptionsalt",
    ),
    "unknown region": (
        settings("aws:region", dev="us-eest-2"),
        'Pulumi.dev.yaml:3 warning unknown-region: ... "us-eest-2", which the AWS SDK does not know; did you mean ...',
    ),
    "ignored file": (
        lambda folder: folder.write("pulumi.qa.JSON", "{}"),
        "pulumi.qa.JSON:1 warning ignored-file: Pulumi does not read this file; allowed: Pulumi.STACK.yaml",
    ),
    "unreadable file": (
        lambda folder: folder.write("Pulumi.dev.yaml", "\nconfig: [a]\n"),
        "Pulumi.dev.yaml:2 error unreadable-file: config is not a mapping of keys to values",
    ),
    "bad project name": (
        lambda folder: [folder.replace(path.name, "orders", "Orders") for path in folder.path.glob("Pulumi.*")],
        'Pulumi.yaml:1 error bad-value: name (Pulumi.yaml): found "Orders"; ... every AWS name starts with it',
    ),
    "secret setting": (
        settings("notificationEmail", prod="{secure: AAAB}"),
        "Pulumi.prod.yaml:7 warning secret-setting: orders:notificationEmail: is encrypted, so no rule can ...",
    ),
    "secret environment": (
        settings("environment", prod="{secure: AAAB}"),
        "Pulumi.prod.yaml:2 error secret-setting: orders:environment: ... unless the value is confidential",
    ),
    "contradiction": (
        several(settings("batchSize", dev="20"), replaced("policies.toml", "5, 10", "5, 10, 20")),
        'Pulumi.dev.yaml:1 error batch-without-window: ... found "0"; allowed: 1 or more when batchSize is over 10',
    ),
    "contradiction that a policy names, too": (
        settings("forceDestroy", prod="true"),
        'Pulumi.prod.yaml:8 error force-destroy: orders:forceDestroy: found "true"; allowed: false in prod',
    ),
    "plain credential in another spelling": (
        settings("aws:secret_Key", dev="not-for-the-logs"),
        "Pulumi.dev.yaml:8 error plain-credential: aws:secret_Key: ... config set --secret aws:secret_Key`, ...",
    ),
    "shared suffix": (
        settings("environmentSuffix", staging="dev"),
        'Pulumi.staging.yaml:6 error same-suffix: ... "dev", which dev (Pulumi.dev.yaml:6) has too, so that both ...',
    ),
    "shared suffix with an account in common": (
        several(
            settings("environmentSuffix", staging="dev"),
            settings("aws:allowedAccountIds", dev=f"[{ACCOUNT}]", staging=f"[{OTHER_ACCOUNT}, {ACCOUNT}]"),
        ),
        "Pulumi.staging.yaml:6 error same-suffix: ... same names; allowed: a suffix of its own (policies.toml)",
    ),
    "shared bucket name in other accounts": (
        several(
            settings("bucketName", dev="our-bucket", staging="our-bucket"),
            settings("aws:allowedAccountIds", dev=f"[{ACCOUNT}]", staging=f"[{OTHER_ACCOUNT}]"),
        ),
        "Pulumi.staging.yaml:8 error same-bucket-name: ... which dev (Pulumi.dev.yaml:8) has too; allowed: ...",
    ),
    "value that is not allowed": (
        settings("aws:region", prod="eu-central-1"),
        'Pulumi.prod.yaml:3 error region: ... "eu-central-1"; allowed in prod: us-east-1 or eu-west-1 (policies.toml)',
    ),
    "value that is forbidden": (
        settings("notificationEmail", prod="nobody@example.com"),
        "Pulumi.prod.yaml:7 error placeholder-email: ... in prod: an address that people read (policies.toml)",
    ),
    "default that is not allowed": (
        replaced("policies.toml", "allowed = [5, 10]", 'allowed = [5]\nenvironments = ["dev"]'),
        'Pulumi.dev.yaml:1 warning small-batches: ... found "10"; allowed in dev: 5 (policies.toml)',
    ),
    "required provider key": (
        appended(
            "policies.toml",
            '[[values]]\nrule = "account"\nsetting = "aws:allowedAccountIds"\nenvironments = ["prod"]\nforbidden = ""\n'
            'instead = "a list with the account ID"\n',
        ),
        "Pulumi.prod.yaml:1 error account: ... is not set; prod requires a list with the account ID (policies.toml)",
    ),
    "value below the minimum": (
        appended("policies.toml", f"{BATCH_POLICY}minimum = 20\n"),
        'Pulumi.prod.yaml:1 error batch: orders:batchSize: found "10"; allowed in prod: 20 or more (policies.toml)',
    ),
    "value above the maximum": (
        appended("policies.toml", f"{BATCH_POLICY}minimum = 1\nmaximum = 9\n"),
        'Pulumi.prod.yaml:1 error batch: ... found "10"; allowed in prod: 1 or more, 9 or less (policies.toml)',
    ),
    "less memory than before": (
        settings("lambdaMemoryMb", staging="2048"),
        'Pulumi.prod.yaml:4 error weaker-setting: ... "2048" of staging (Pulumi.staging.yaml:4), ...: 2048 or more ...',
    ),
    "longer window than before": (
        settings("batchWindowSeconds", prod="5"),
        'Pulumi.prod.yaml:8 error weaker-setting: ... "0" of dev (Pulumi.yaml:29), ...: 0 or less (policies.toml)',
    ),
    "no key, unlike before": (
        settings("kmsKeyArn", dev=KEY_ARN.format("us-east-2"), staging=KEY_ARN.format("us-west-1")),
        'Pulumi.prod.yaml:1 error weaker-setting: ... found "", ...; allowed: a non-empty value (policies.toml)',
    ),
    "own bucket name, unlike before": (
        settings("bucketName", prod="our-bucket"),
        "Pulumi.prod.yaml:8 error weaker-setting: orders:bucketName: ...; allowed: an empty value (policies.toml)",
    ),
    "destroyed by force, unlike before": (
        several(replaced("policies.toml", '["prod", "staging"]', '["prod"]'), settings("forceDestroy", staging="true")),
        "Pulumi.staging.yaml:8 error weaker-setting: ... comes before staging; allowed: false (policies.toml)",
    ),
    "kept, unlike before": (
        several(
            replaced("policies.toml", '"false"', '"true"'),
            replaced("policies.toml", ', staging = ["dev"]', ""),
            settings("forceDestroy", dev="true"),
        ),
        "Pulumi.prod.yaml:1 error weaker-setting: ... of dev (Pulumi.dev.yaml:8), ...; allowed: true (policies.toml)",
    ),
    "runtime that ends soon": (
        settings("lambdaRuntime", dev="python3.11"),
        "Pulumi.dev.yaml:8 warning runtime-ending: ... AWS supports until 2026-05-30; allowed: python3.12 or ...",
    ),
    "runtime that has ended": (
        several(settings("lambdaRuntime", dev="python3.12"), replaced("policies.toml", "2028-10-31", "2026-02-28")),
        "Pulumi.dev.yaml:8 error runtime-ended: ... supported until 2026-02-28; allowed: python3.13 or python3.14",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_rule_is_the_only_finding(folder: ProjectFolder, name: str) -> None:
    change, expected = BROKEN[name]
    change(folder)

    (finding,) = folder.validate().findings

    place = f"{finding.file}:{finding.line} {finding.severity} {finding.rule}"
    found = ": ".join(filter(None, [place, finding.key, finding.message]))
    assert re.fullmatch(re.escape(expected).replace(re.escape("..."), ".*"), found), found


# Changes that break no rule.
GOOD: dict[str, Change] = {
    "nothing": several(),
    "shared suffix in other accounts": several(
        settings("environmentSuffix", staging="dev"),
        settings("aws:allowedAccountIds", dev=f"[{ACCOUNT}]", staging=f"[{OTHER_ACCOUNT}]"),
    ),
    "suffix of the local stack": settings("environmentSuffix", local="dev"),
    "bucket name of the local stack": settings("bucketName", local="our-bucket", dev="our-bucket"),
    "encrypted credential": settings("aws:secretKey", dev="{secure: AAAB}"),
    "credential of the emulator": settings("aws:secretKey", local="testing"),
    "section that Pulumi writes": appended("Pulumi.dev.yaml", "encryptionsalt: v1:abc=:v1:def\n"),
    "structure": appended(
        "Pulumi.dev.yaml", "  aws:defaultTags:\n    tags: {Team: a}\n  aws:roles: [{a: 1}, {a: 2}]\n"
    ),
    "key without a namespace": replaced("Pulumi.dev.yaml", "orders:lambdaMemoryMb", "lambdaMemoryMb"),
    "weaker before production": settings("lambdaMemoryMb", dev="256"),
    "runtime of the local stack": settings("lambdaRuntime", local="python3.11"),
    "no order of environments": replaced("policies.toml", 'prod = ["dev", "staging"], staging = ["dev"]', ""),
    "key of a listed provider": several(
        replaced("policies.toml", '"pulumi"]', '"pulumi", "datadog"]'), settings("datadog:site", dev="eu")
    ),
    "forbidden value of a provider key that is not set": appended(
        "policies.toml", '[[values]]\nrule = "a"\nsetting = "aws:profile"\nforbidden = "root"\ninstead = "b"\n'
    ),
    "lowest and highest value": appended("policies.toml", f"{BATCH_POLICY}minimum = 10\nmaximum = 10\n"),
    "required provider key": several(
        replaced("policies.toml", 'kmsKeyArn = "set"', '"aws:profile" = "set"'),
        settings("aws:profile", dev="x", prod="x", staging="x"),
    ),
    "other files": lambda folder: folder.write("Pulumi-notes.yaml", "a: b\n"),
}


@pytest.mark.parametrize("name", GOOD)
def test_nothing_is_found_if_no_rule_is_broken(folder: ProjectFolder, name: str) -> None:
    GOOD[name](folder)

    assert folder.validate().findings == ()


def test_all_problems_are_found_in_the_order_of_their_places(folder: ProjectFolder) -> None:
    folder.set("dev", "lambdaMemoryMb", "64")
    folder.append("Pulumi.dev.yaml", "  orders:zzz: 1\n")
    folder.set("prod", "notificationEmail", "nobody@example.com")
    folder.write("Pulumi.staging.yaml", "- config\n")

    assert [(finding.file, finding.line, finding.rule) for finding in folder.validate().findings] == [
        ("Pulumi.dev.yaml", 4, "bad-value"),
        ("Pulumi.dev.yaml", 8, "unknown-key"),
        ("Pulumi.prod.yaml", 7, "placeholder-email"),
        ("Pulumi.staging.yaml", 1, "unreadable-file"),
    ]


@pytest.mark.parametrize(
    ("today", "rules"),
    [
        (date(2026, 2, 28), []),
        (TODAY, ["runtime-ending"]),
        (date(2026, 5, 30), ["runtime-ending"]),
        (date(2026, 5, 31), ["runtime-ended"]),
    ],
)
def test_runtime_is_a_warning_before_its_end_and_an_error_after(
    folder: ProjectFolder, today: date, rules: list[str]
) -> None:
    folder.set("prod", "lambdaRuntime", "python3.11")

    assert [finding.rule for finding in folder.validate(today=today).findings] == rules


def test_finding_about_a_default_is_reported_once_for_all_stacks(folder: ProjectFolder) -> None:
    (finding,) = folder.validate(today=date(2029, 6, 1)).findings

    assert (finding.file, finding.stacks) == ("Pulumi.yaml", ("dev", "staging", "prod"))
    assert finding.message.endswith("allowed: a newer one, once it is in the settings model and policies.toml")


def test_named_stacks_are_reported_but_compared_with_all(folder: ProjectFolder) -> None:
    folder.set("dev", "lambdaMemoryMb", "4096")
    folder.set("dev", "batchSize", "0")
    folder.write("Pulumi.staging.yaml", "- config\n")
    folder.write("Pulumi.qa.yml", "config: {}\n")

    report = folder.validate("prod", "local")

    assert [(finding.rule, finding.stacks) for finding in report.findings] == [("weaker-setting", ("prod",))]
    assert report.stacks == ("local", "prod")


def test_findings_of_the_local_stack_are_always_reported(folder: ProjectFolder) -> None:
    folder.set("local", "batchSize", "0")

    report = folder.validate()

    assert ([finding.stacks for finding in report.findings], report.stacks) == (
        [("local",)],
        ("dev", "staging", "prod"),
    )


def test_stack_with_the_name_of_the_suffix_owns_it(folder: ProjectFolder) -> None:
    folder.write("Pulumi.a.yaml", folder.read("Pulumi.staging.yaml"))

    (finding,) = folder.validate().findings

    assert (finding.file, finding.stacks) == ("Pulumi.a.yaml", ("staging", "a"))


def test_third_stack_is_compared_within_its_account(folder: ProjectFolder) -> None:
    for stack, account in {"dev": ACCOUNT, "staging": OTHER_ACCOUNT, "prod": ACCOUNT}.items():
        folder.set(stack, "environmentSuffix", "a")
        folder.set(stack, "aws:allowedAccountIds", f"[{account}]")

    (finding,) = folder.validate().findings

    assert finding.stacks == ("dev", "prod")


def test_strongest_stack_of_an_environment_counts(folder: ProjectFolder) -> None:
    for name, memory in {"a": "256", "b": "2048", "c": "512"}.items():
        folder.write(f"Pulumi.{name}.yaml", folder.read("Pulumi.staging.yaml"))
        folder.set(name, "environmentSuffix", name)
        folder.set(name, "lambdaMemoryMb", memory)
    folder.replace("policies.toml", ', staging = ["dev"]', "")

    (finding,) = folder.validate().findings

    assert 'weaker than "2048" of b (Pulumi.b.yaml:4)' in finding.message


def test_provider_key_that_is_not_set_is_weaker(folder: ProjectFolder) -> None:
    folder.replace("policies.toml", 'kmsKeyArn = "set"', '"aws:profile" = "set"')
    folder.set("dev", "aws:profile", "x")

    assert [finding.file for finding in folder.validate().findings] == ["Pulumi.prod.yaml", "Pulumi.staging.yaml"]


def test_stacks_are_in_the_order_of_promotion(folder: ProjectFolder) -> None:
    folder.write("Pulumi.a.yaml", folder.read("Pulumi.prod.yaml"))
    folder.set("local", "environment", "elsewhere")

    assert folder.validate(*STACKS, "a").stacks == ("dev", "staging", "a", "prod", "local")


def test_settings_are_compared_with_defaults_and_secrets(folder: ProjectFolder) -> None:
    folder.set("dev", "batchSize", "10")
    folder.set("dev", "notificationEmail", "{secure: AAAB}")
    folder.set("prod", "notificationEmail", "{secure: AAAC}")
    folder.set("dev", "aws:profile", '""')

    compared = {each.key: each for each in folder.validate("dev", "prod").settings}

    assert [*compared] == [*(f"orders:{key}" for key in KEYS), "aws:profile", "aws:region"]
    assert compared["orders:batchSize"] == Setting(
        key="orders:batchSize", differs=False, values={"dev": "10", "prod": "10"}, defaults=("prod",)
    )
    assert compared["orders:notificationEmail"].values == {"dev": "[secret]", "prod": "[secret]"}
    assert not compared["orders:notificationEmail"].differs
    assert compared["aws:profile"] == Setting(
        key="aws:profile", differs=True, values={"dev": "", "prod": None}, defaults=()
    )


def test_strict_turns_warnings_into_errors(folder: ProjectFolder) -> None:
    folder.set("dev", "batchSize", "7")

    reports = [folder.validate(), folder.validate(strict=True)]

    assert [(report.findings[0].severity, report.status) for report in reports] == [("warning", 0), ("error", 1)]


def test_secrets_are_in_no_report(folder: ProjectFolder) -> None:
    for key in ("aws:secretKey", "AWS:secret-key"):
        folder.set("dev", key, "not-for-the-logs")
    folder.set("prod", "lambdaMemoryMb", "{secure: not-for-the-logs}")

    assert "not-for-the-logs" not in folder.validate().model_dump_json()
