"""The rules for stack files: a valid project, in which each rule is broken."""

from collections.abc import Callable
from datetime import date

import pytest

from tests.validate.folder import STACKS, TODAY, ProjectFolder

ACCOUNT = "123456789012"
OTHER_ACCOUNT = ACCOUNT[::-1]
KEY_ARN = "arn:aws:kms:{}:123456789012:key/11111111-2222-3333-4444-555555555555"
Change = Callable[[ProjectFolder], object]


def several(*changes: Change) -> Change:
    """Make several changes."""
    return lambda folder: [change(folder) for change in changes]


def setting(stack: str, key: str, value: str | None) -> Change:
    """Set a key of a stack file."""
    return lambda folder: folder.set(stack, key, value)


def settings(key: str, **values: str) -> Change:
    """Set a key of several stack files."""
    return lambda folder: [folder.set(stack, key, value) for stack, value in values.items()]


def appended(name: str, text: str) -> Change:
    """Add text to the end of a file."""
    return lambda folder: folder.write(name, folder.read(name) + text)


def replaced(name: str, old: str, new: str) -> Change:
    """Change the text of a file."""
    return lambda folder: folder.replace(name, old, new)


# The change and the finding: rule, severity, stacks, file, line, key, and part of the message.
BROKEN: dict[str, tuple[Change, tuple[str, str, tuple[str, ...], str, int | None, str | None, str]]] = {
    "bad value": (
        setting("dev", "lambdaMemoryMb", "64"),
        ("bad-value", "error", ("dev",), "Pulumi.dev.yaml", 4, "orders:lambdaMemoryMb", 'found "64"; allowed: a whole'),
    ),
    "bad default": (
        lambda folder: folder.set_default("lambdaTimeoutSeconds", '"0"'),
        (
            "bad-value",
            "error",
            ("dev", "local", "prod", "staging"),
            "Pulumi.yaml",
            21,
            "orders:lambdaTimeoutSeconds",
            'found "0"; allowed: a whole number from 1 to 900',
        ),
    ),
    "bad region": (
        setting("local", "aws:region", "here"),
        ("bad-value", "error", ("local",), "Pulumi.local.yaml", 3, "aws:region", 'found "here"; allowed: the name of'),
    ),
    "missing key": (
        setting("dev", "notificationEmail", None),
        ("missing-key", "error", ("dev",), "Pulumi.dev.yaml", 1, "orders:notificationEmail", "missing; allowed: an"),
    ),
    "key that an imported environment may set": (
        several(
            setting("dev", "notificationEmail", None),
            appended("Pulumi.dev.yaml", "environment:\n  - orders/dev\n"),
        ),
        (
            "missing-key",
            "warning",
            ("dev",),
            "Pulumi.dev.yaml",
            1,
            "orders:notificationEmail",
            "missing; allowed: an e-mail address; an imported Pulumi ESC environment may set it",
        ),
    ),
    "unknown key": (
        setting("dev", "lambdaMemoryMB", "512"),
        (
            "unknown-key",
            "error",
            ("dev",),
            "Pulumi.dev.yaml",
            8,
            "orders:lambdaMemoryMB",
            "unknown key; did you mean orders:lambdaMemoryMb?",
        ),
    ),
    "wrong namespace": (
        setting("dev", "order:batchSize", "10"),
        (
            "wrong-namespace",
            "error",
            ("dev",),
            "Pulumi.dev.yaml",
            8,
            "order:batchSize",
            'wrong namespace "order"; the key is orders:batchSize',
        ),
    ),
    "unknown namespace": (
        setting("dev", "datadog:site", "eu"),
        (
            "unknown-namespace",
            "error",
            ("dev",),
            "Pulumi.dev.yaml",
            8,
            "datadog:site",
            'unknown namespace "datadog"; allowed: orders, aws, pulumi (policies.toml lists the providers)',
        ),
    ),
    "provider key in another case": (
        setting("dev", "aws:Region", "us-east-1"),
        (
            "misspelt-key",
            "error",
            ("dev",),
            "Pulumi.dev.yaml",
            8,
            "aws:Region",
            "differs in spelling from aws:region, which is known or",
        ),
    ),
    "provider key in another spelling than elsewhere": (
        several(
            settings("aws:skipMetadataApiCheck", local="true", dev="true"),
            setting("prod", "aws:skip_metadata-API-check", "true"),
        ),
        (
            "misspelt-key",
            "error",
            ("prod",),
            "Pulumi.prod.yaml",
            8,
            "aws:skip_metadata-API-check",
            "differs in spelling from aws:skipMetadataApiCheck, which is known or used elsewhere; allowed: aws:skip",
        ),
    ),
    "duplicate key": (
        appended("Pulumi.dev.yaml", "  orders:environment: dev\n"),
        (
            "duplicate-key",
            "error",
            ("dev",),
            "Pulumi.dev.yaml",
            8,
            "orders:environment",
            "the key is already on line 2; allowed: once",
        ),
    ),
    "duplicate key, once without its namespace": (
        appended("Pulumi.dev.yaml", "  environment: dev\n"),
        ("duplicate-key", "error", ("dev",), "Pulumi.dev.yaml", 8, "orders:environment", "is already on line 2"),
    ),
    "duplicate key in a structure": (
        appended("Pulumi.dev.yaml", "  aws:defaultTags:\n    tags:\n      Team: a\n      Team: b\n"),
        ("duplicate-key", "error", ("dev",), "Pulumi.dev.yaml", 11, "Team", "is already on line 10"),
    ),
    "duplicate section": (
        appended("Pulumi.dev.yaml", "secretsprovider: passphrase\nsecretsprovider: default\n"),
        ("duplicate-key", "error", ("dev",), "Pulumi.dev.yaml", 9, "secretsprovider", "is already on line 8"),
    ),
    "duplicate key in Pulumi.yaml": (
        replaced("Pulumi.yaml", "runtime: python\n", "runtime: python\nruntime: nodejs\n"),
        ("duplicate-key", "error", (), "Pulumi.yaml", 3, "runtime", "is already on line 2"),
    ),
    "setting where the environments are listed": (
        appended("Pulumi.dev.yaml", "environment: dev\n"),
        (
            "unknown-section",
            "error",
            ("dev",),
            "Pulumi.dev.yaml",
            8,
            "environment",
            "allowed: a list of Pulumi ESC environments here, or orders:environment under config",
        ),
    ),
    "bad value beside an imported environment": (
        several(
            setting("dev", "lambdaMemoryMb", "64"),
            appended("Pulumi.dev.yaml", "environment:\n  - orders/dev\n"),
        ),
        ("bad-value", "error", ("dev",), "Pulumi.dev.yaml", 4, "orders:lambdaMemoryMb", 'found "64"'),
    ),
    "secret setting": (
        setting("prod", "notificationEmail", "{secure: AAAB}"),
        (
            "secret-setting",
            "warning",
            ("prod",),
            "Pulumi.prod.yaml",
            7,
            "orders:notificationEmail",
            "a secret, which no rule can check; allowed: plain text",
        ),
    ),
    "secret environment": (
        setting("prod", "environment", "{secure: AAAB}"),
        ("secret-setting", "error", ("prod",), "Pulumi.prod.yaml", 2, "orders:environment", "a secret, which"),
    ),
    "endpoints of a local stack": (
        setting("local", "aws:endpoints", "[]"),
        ("local-endpoints", "error", ("local",), "Pulumi.local.yaml", 8, "aws:endpoints", "not allowed in a local st"),
    ),
    "credential in another spelling": (
        setting("local", "aws:secret_key", "testing"),
        (
            "misspelt-key",
            "error",
            ("local",),
            "Pulumi.local.yaml",
            8,
            "aws:secret_key",
            "in spelling from aws:secretKey",
        ),
    ),
    "unknown section": (
        appended("Pulumi.dev.yaml", "Config:\n  orders:batchSize: 5\n"),
        (
            "unknown-section",
            "error",
            ("dev",),
            "Pulumi.dev.yaml",
            8,
            "Config",
            "has no such section; did you mean config",
        ),
    ),
    "unknown section without a similar one": (
        appended("Pulumi.dev.yaml", "zzz: 1\n"),
        ("unknown-section", "error", ("dev",), "Pulumi.dev.yaml", 8, "zzz", "allowed: config, environment, secrets"),
    ),
    "file that Pulumi does not read": (
        lambda folder: folder.write("Pulumi.qa.yml", "config: {}\n"),
        (
            "ignored-file",
            "warning",
            (),
            "Pulumi.qa.yml",
            None,
            None,
            "Pulumi does not read this file; allowed: Pulumi.ST",
        ),
    ),
    "file of another form that Pulumi does not read": (
        lambda folder: folder.write("pulumi.qa.json", "{}\n"),
        ("ignored-file", "warning", (), "pulumi.qa.json", None, None, "Pulumi does not read this file"),
    ),
    "file that cannot be read": (
        lambda folder: folder.write("Pulumi.dev.yaml", "config: &all\n"),
        ("unreadable-file", "error", ("dev",), "Pulumi.dev.yaml", 1, None, "anchors and aliases are not allowed"),
    ),
    "file with a structure that cannot be read": (
        lambda folder: folder.write("Pulumi.dev.yaml", "config: [a]\n"),
        ("unreadable-file", "error", ("dev",), "Pulumi.dev.yaml", 1, None, "config is not a mapping of keys to values"),
    ),
    "invalid project name": (
        lambda folder: [folder.replace(path.name, "orders", "Orders") for path in sorted(folder.path.glob("Pulumi.*"))],
        (
            "bad-value",
            "error",
            ("dev", "local", "prod", "staging"),
            "Pulumi.yaml",
            1,
            "name (Pulumi.yaml)",
            'found "Orders"; allowed: 1 to 25 lower-case letters',
        ),
    ),
    "batch without a window": (
        several(
            setting("dev", "batchSize", "20"),
            replaced("policies.toml", "5, 10", "5, 10, 20"),
        ),
        (
            "batch-without-window",
            "error",
            ("dev",),
            "Pulumi.dev.yaml",
            1,
            "orders:batchWindowSeconds",
            "allowed: 1 or more",
        ),
    ),
    "key elsewhere": (
        settings("kmsKeyArn", prod=KEY_ARN.format("eu-west-1")),
        ("key-elsewhere", "error", ("prod",), "Pulumi.prod.yaml", 8, "orders:kmsKeyArn", "allowed: a key in us-east-1"),
    ),
    "credential in plain text": (
        setting("dev", "aws:secretKey", "not-for-the-logs"),
        (
            "plain-credential",
            "error",
            ("dev",),
            "Pulumi.dev.yaml",
            8,
            "aws:secretKey",
            "found in plain text; allowed: enc",
        ),
    ),
    "shared suffix": (
        setting("staging", "environmentSuffix", "dev"),
        (
            "same-suffix",
            "error",
            ("dev", "staging"),
            "Pulumi.staging.yaml",
            6,
            "orders:environmentSuffix",
            'found "dev", which dev (Pulumi.dev.yaml:6) has too',
        ),
    ),
    "shared suffix, with one account in common": (
        several(
            setting("staging", "environmentSuffix", "dev"),
            settings("aws:allowedAccountIds", dev=f'["{ACCOUNT}"]', staging=f'["{OTHER_ACCOUNT}", "{ACCOUNT}"]'),
        ),
        ("same-suffix", "error", ("dev", "staging"), "Pulumi.staging.yaml", 6, "orders:environmentSuffix", "found"),
    ),
    "shared bucket name": (
        several(
            replaced("policies.toml", 'bucketName = "empty"\n', ""),
            settings("bucketName", dev="our-bucket", staging="our-bucket"),
        ),
        (
            "same-bucket-name",
            "error",
            ("dev", "staging"),
            "Pulumi.staging.yaml",
            8,
            "orders:bucketName",
            'found "our-bucket", which dev (Pulumi.dev.yaml:8) has too; allowed: a name that is nobody else\'s',
        ),
    ),
    "bucket name that another stack generates": (
        setting("dev", "bucketName", "orders-staging-payloads-123456789012"),
        ("same-bucket-name", "error", ("staging", "dev"), "Pulumi.dev.yaml", 8, "orders:bucketName", "which staging ("),
    ),
    "bucket name that the stack uses for another bucket": (
        setting("dev", "bucketName", "orders-dev-logs-123456789012"),
        (
            "same-bucket-name",
            "error",
            ("dev",),
            "Pulumi.dev.yaml",
            8,
            "orders:bucketName",
            "which the stack uses for another resource; allowed: a name that is nobody else's",
        ),
    ),
    "value that is not allowed": (
        setting("prod", "aws:region", "eu-central-1"),
        (
            "region",
            "error",
            ("prod",),
            "Pulumi.prod.yaml",
            3,
            "aws:region",
            'found "eu-central-1"; allowed in prod: us-east-1 or eu-west-1 (policies.toml)',
        ),
    ),
    "value that is forbidden": (
        setting("prod", "notificationEmail", "nobody@example.com"),
        (
            "placeholder-email",
            "error",
            ("prod",),
            "Pulumi.prod.yaml",
            7,
            "orders:notificationEmail",
            'found "nobody@example.com"; allowed in prod: an address that people read (policies.toml)',
        ),
    ),
    "value with a warning": (
        setting("dev", "batchSize", "7"),
        ("small-batches", "warning", ("dev",), "Pulumi.dev.yaml", 8, "orders:batchSize", "allowed in dev: 5 or 10"),
    ),
    "default with a warning": (
        replaced("policies.toml", "allowed = [5, 10]", 'allowed = [5]\nenvironments = ["dev"]'),
        (
            "small-batches",
            "warning",
            ("dev",),
            "Pulumi.dev.yaml",
            1,
            "orders:batchSize",
            'found "10"; allowed in dev: 5',
        ),
    ),
    "forceDestroy in production": (
        setting("prod", "forceDestroy", "true"),
        ("force-destroy", "error", ("prod",), "Pulumi.prod.yaml", 8, "orders:forceDestroy", "allowed: false in prod"),
    ),
    "forceDestroy in staging": (
        settings("forceDestroy", dev="true", staging="true"),
        (
            "force-destroy",
            "error",
            ("staging",),
            "Pulumi.staging.yaml",
            8,
            "orders:forceDestroy",
            "allowed in staging: false",
        ),
    ),
    "less memory in production": (
        setting("prod", "lambdaMemoryMb", "256"),
        (
            "weaker-setting",
            "error",
            ("prod",),
            "Pulumi.prod.yaml",
            4,
            "orders:lambdaMemoryMb",
            'found "256", weaker than "512" of dev (Pulumi.dev.yaml:4), which comes before prod; allowed: 512 or more',
        ),
    ),
    "more memory before production": (
        settings("lambdaMemoryMb", staging="2048"),
        (
            "weaker-setting",
            "error",
            ("prod",),
            "Pulumi.prod.yaml",
            4,
            "orders:lambdaMemoryMb",
            'than "2048" of staging',
        ),
    ),
    "longer window in production": (
        setting("prod", "batchWindowSeconds", "5"),
        (
            "weaker-setting",
            "error",
            ("prod",),
            "Pulumi.prod.yaml",
            8,
            "orders:batchWindowSeconds",
            "allowed: 0 or less",
        ),
    ),
    "no key in production": (
        settings("kmsKeyArn", dev=KEY_ARN.format("us-east-2"), staging=KEY_ARN.format("us-west-1")),
        (
            "weaker-setting",
            "error",
            ("prod",),
            "Pulumi.prod.yaml",
            1,
            "orders:kmsKeyArn",
            "allowed: a non-empty value",
        ),
    ),
    "own bucket name in production": (
        setting("prod", "bucketName", "our-bucket"),
        ("weaker-setting", "error", ("prod",), "Pulumi.prod.yaml", 8, "orders:bucketName", "allowed: an empty value"),
    ),
    "runtime that ends soon": (
        setting("dev", "lambdaRuntime", "python3.11"),
        (
            "runtime-ending",
            "warning",
            ("dev",),
            "Pulumi.dev.yaml",
            8,
            "orders:lambdaRuntime",
            'found "python3.11", which AWS supports until 2026-05-30, for another 90 days; allowed: python3.12',
        ),
    ),
    "runtime that has ended": (
        several(
            setting("dev", "lambdaRuntime", "python3.12"),
            replaced("policies.toml", '"python3.12" = 2028-10-31', '"python3.12" = 2026-02-28'),
        ),
        (
            "runtime-ended",
            "error",
            ("dev",),
            "Pulumi.dev.yaml",
            8,
            "orders:lambdaRuntime",
            'found "python3.12", which AWS supported until 2026-02-28; allowed: python3.13 or python3.14',
        ),
    ),
}


def test_no_problems_are_found_in_a_good_project(folder: ProjectFolder) -> None:
    report = folder.validate()

    assert report.findings == ()
    assert report.status == 0


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_the_only_finding_and_has_its_place(folder: ProjectFolder, name: str) -> None:
    change, (rule, severity, stacks, file, line, key, message) = BROKEN[name]
    change(folder)

    (finding,) = folder.validate().findings

    found = (finding.rule, finding.severity, set(finding.stacks), finding.file, finding.line, finding.key)
    assert found == (rule, severity, set(stacks), file, line, key)
    assert message in finding.message


def test_all_problems_are_found_at_once(folder: ProjectFolder) -> None:
    folder.set("dev", "lambdaMemoryMb", "64")
    folder.set("dev", "zzz", "1")
    folder.set("prod", "notificationEmail", "nobody@example.com")
    folder.write("Pulumi.staging.yaml", "- config\n")

    assert [(finding.file, finding.line, finding.rule) for finding in folder.validate().findings] == [
        ("Pulumi.dev.yaml", 4, "bad-value"),
        ("Pulumi.dev.yaml", 8, "unknown-key"),
        ("Pulumi.prod.yaml", 7, "placeholder-email"),
        ("Pulumi.staging.yaml", 1, "unreadable-file"),
    ]


GOOD: dict[str, Change] = {
    "shared suffix in other accounts": lambda folder: (
        folder.set("staging", "environmentSuffix", "dev"),
        folder.set("dev", "aws:allowedAccountIds", f'["{ACCOUNT}"]'),
        folder.set("staging", "aws:allowedAccountIds", f'["{OTHER_ACCOUNT}"]'),
    ),
    "suffix of the emulator's stack on AWS": setting("local", "environmentSuffix", "dev"),
    "bucket name of the emulator's stack on AWS": settings("bucketName", local="our-bucket", dev="our-bucket"),
    "credential that is encrypted": setting("dev", "aws:secretKey", "{secure: AAAB}"),
    "credential of the emulator": setting("local", "aws:secretKey", "testing"),
    "section that Pulumi writes": appended("Pulumi.dev.yaml", "encryptionsalt: v1:abc=:v1:def\n"),
    "no configuration without a value": appended("Pulumi.yaml", "plugins:\n"),
    "structure": appended(
        "Pulumi.dev.yaml", "  aws:defaultTags:\n    tags: {Team: a}\n  aws:assumeRoles: [{a: 1}, {a: 2}]\n"
    ),
    "key without a namespace": replaced("Pulumi.dev.yaml", "orders:lambdaMemoryMb", "lambdaMemoryMb"),
    "stronger in production": settings("lambdaMemoryMb", prod="2048"),
    "weaker before production": settings("lambdaMemoryMb", dev="256"),
    "runtime of the emulator's stack that ends soon": setting("local", "lambdaRuntime", "python3.11"),
    "stack outside of the order": lambda folder: folder.replace(
        "policies.toml", 'prod = ["dev", "staging"], staging = ["dev"]', ""
    ),
    "key of a listed provider": lambda folder: (
        folder.replace("policies.toml", '"pulumi"', '"pulumi", "datadog"'),
        folder.set("dev", "datadog:site", "eu"),
    ),
    "missing provider key with a forbidden value": appended(
        "policies.toml",
        '\n[[values]]\nrule = "profile"\nsetting = "aws:profile"\nforbidden = "root"\ninstead = "one of less power"\n',
    ),
    "encrypted provider key": setting("prod", "aws:token", "{secure: AAAB}"),
    "bucket name that the stack itself would generate": setting(
        "dev", "bucketName", "orders-dev-payloads-123456789012"
    ),
    "bucket name that another stack would generate if it had none": several(
        setting("staging", "bucketName", "our-bucket"),
        setting("dev", "bucketName", "orders-staging-payloads-123456789012"),
    ),
    "bucket name similar to a generated one": several(
        replaced("policies.toml", "{project}-{environmentSuffix}-logs-[0-9]{12}", "a-{lambdaRuntime}"),
        setting("dev", "bucketName", "a-python3x13"),
    ),
    "required provider key that is set": several(
        replaced("policies.toml", 'kmsKeyArn = "set"', '"aws:profile" = "set"'),
        settings("aws:profile", dev="x", prod="x", staging="x"),
    ),
    "declared key with imported environments": several(
        appended("Pulumi.yaml", "  team:\n    type: string\n"),
        lambda folder: [
            folder.write(name, folder.read(name) + "environment: [a]\n")
            for name in (f"Pulumi.{stack}.yaml" for stack in ("local", "dev", "staging", "prod"))
        ],
    ),
    "configuration that is null": appended("Pulumi.yaml", "plugins: ~\n"),
    "other files in the folder": lambda folder: folder.write("Pulumi-notes.yaml", "a: b\n"),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_breaks_no_rule_is_not_reported(folder: ProjectFolder, name: str) -> None:
    GOOD[name](folder)

    assert folder.validate().findings == ()


@pytest.mark.parametrize(
    ("today", "rules"),
    [
        (date(2026, 2, 28), []),
        (TODAY, ["runtime-ending"]),
        (date(2026, 5, 30), ["runtime-ending"]),
        (date(2026, 5, 31), ["runtime-ended"]),
    ],
)
def test_a_runtime_is_a_warning_for_ninety_days_and_then_an_error(
    folder: ProjectFolder, today: date, rules: list[str]
) -> None:
    folder.set("prod", "lambdaRuntime", "python3.11")

    assert [finding.rule for finding in folder.validate(today=today).findings] == rules


def test_a_runtime_without_a_successor_asks_for_a_newer_one(folder: ProjectFolder) -> None:
    (finding,) = folder.validate(today=date(2029, 6, 1)).findings

    assert finding.file == "Pulumi.yaml"
    assert finding.stacks == ("dev", "staging", "prod")
    assert finding.message.endswith("a newer one, once it is in the settings model and policies.toml")


def test_only_the_selected_stacks_are_reported_but_compared_with_all(folder: ProjectFolder) -> None:
    folder.set("dev", "lambdaMemoryMb", "4096")
    folder.set("dev", "batchSize", "0")
    folder.write("Pulumi.staging.yaml", "- config\n")
    folder.write("Pulumi.qa.yml", "config: {}\n")

    report = folder.validate("prod", "local")

    assert [(finding.rule, finding.stacks) for finding in report.findings] == [("weaker-setting", ("prod",))]
    assert [stack.name for stack in report.stacks] == ["local", "prod"]
    assert set(report.settings[0].values) == {"local", "prod"}


def test_a_misspelt_key_is_one_problem(folder: ProjectFolder) -> None:
    folder.replace("Pulumi.dev.yaml", "orders:lambdaMemoryMb", "orders:lambdaMemoryMB")
    folder.replace("Pulumi.prod.yaml", "orders:lambdaMemoryMb", "order:lambdaMemoryMb")

    assert [finding.rule for finding in folder.validate().findings] == ["unknown-key", "wrong-namespace"]


def test_a_name_that_contains_a_secret_is_not_compared(folder: ProjectFolder) -> None:
    folder.set("staging", "environmentSuffix", "{secure: AAAB}")
    folder.set("dev", "bucketName", "orders-staging-payloads-123456789012")

    assert [finding.rule for finding in folder.validate().findings] == ["secret-setting"]


def test_a_unique_policy_needs_no_reason(folder: ProjectFolder) -> None:
    folder.replace("policies.toml", 'because = "so that both give their resources the same names"\n', "")
    folder.set("staging", "environmentSuffix", "dev")

    (finding,) = folder.validate().findings

    assert finding.message == (
        'found "dev", which dev (Pulumi.dev.yaml:6) has too; allowed: a suffix of its own (policies.toml)'
    )


def test_the_stack_with_the_name_of_the_suffix_owns_it(folder: ProjectFolder) -> None:
    folder.write("Pulumi.a.yaml", folder.read("Pulumi.staging.yaml"))

    (finding,) = folder.validate().findings

    assert (finding.file, finding.stacks) == ("Pulumi.a.yaml", ("staging", "a"))


def test_a_provider_key_that_a_policy_requires_must_be_set(folder: ProjectFolder) -> None:
    policy = '[[values]]\nrule = "account"\nsetting = "aws:allowedAccountIds"\nenvironments = ["prod"]\n'
    folder.write("policies.toml", f'{folder.read("policies.toml")}\n{policy}allowed = [["{ACCOUNT}"]]\n')

    (finding,) = folder.validate().findings
    assert (finding.rule, finding.file, finding.line) == ("account", "Pulumi.prod.yaml", 1)
    assert finding.message == f'missing; allowed in prod: ["{ACCOUNT}"] (policies.toml)'

    folder.set("prod", "aws:allowedAccountIds", f'["{ACCOUNT}"]')
    assert folder.validate().findings == ()


@pytest.mark.parametrize(
    ("bounds", "allowed"),
    [
        ("minimum = 20", "20 or more"),
        ("maximum = 5", "5 or less"),
        ("minimum = 1\nmaximum = 9", "1 or more, 9 or less"),
        ("minimum = 10", None),
        ("maximum = 10", None),
    ],
)
def test_a_policy_may_have_bounds(folder: ProjectFolder, bounds: str, allowed: str | None) -> None:
    policy = f'[[values]]\nrule = "batch"\nsetting = "batchSize"\nenvironments = ["prod"]\n{bounds}\n'
    folder.write("policies.toml", f"{folder.read('policies.toml')}\n{policy}")

    assert [finding.allowed for finding in folder.validate().findings] == ([allowed] if allowed else [])


def test_a_provider_key_that_production_lacks_is_weaker(folder: ProjectFolder) -> None:
    folder.replace("policies.toml", 'kmsKeyArn = "set"', '"aws:profile" = "set"')
    folder.set("dev", "aws:profile", "x")

    findings = folder.validate().findings

    assert [(finding.rule, finding.file, finding.line) for finding in findings] == [
        ("weaker-setting", "Pulumi.prod.yaml", 1),
        ("weaker-setting", "Pulumi.staging.yaml", 1),
    ]


def test_the_strongest_stack_of_an_environment_counts(folder: ProjectFolder) -> None:
    for name, memory in {"a": "256", "b": "2048", "c": "512"}.items():
        folder.write(f"Pulumi.{name}.yaml", folder.read("Pulumi.staging.yaml"))
        folder.set(name, "environmentSuffix", name)
        folder.set(name, "lambdaMemoryMb", memory)
    folder.replace("policies.toml", ', staging = ["dev"]', "")

    (finding,) = folder.validate().findings

    assert 'weaker than "2048" of b (Pulumi.b.yaml:4)' in finding.message


def test_true_can_be_the_stronger_value(folder: ProjectFolder) -> None:
    folder.replace("policies.toml", 'forceDestroy = "false"', 'forceDestroy = "true"')
    folder.set("dev", "forceDestroy", "true")

    assert {finding.allowed for finding in folder.validate().findings} == {"true"}


def test_a_third_stack_is_compared_within_its_account(folder: ProjectFolder) -> None:
    for stack, account in {"dev": ACCOUNT, "staging": OTHER_ACCOUNT, "prod": ACCOUNT}.items():
        folder.set(stack, "environmentSuffix", "a")
        folder.set(stack, "aws:allowedAccountIds", f'["{account}"]')

    (finding,) = folder.validate().findings

    assert finding.stacks == ("dev", "prod")


def test_a_region_key_that_most_stacks_misspell_is_still_misspelt(folder: ProjectFolder) -> None:
    for stack in ("dev", "staging", "prod"):
        folder.replace(f"Pulumi.{stack}.yaml", "aws:region", "aws:Region")

    assert {finding.key for finding in folder.validate().findings} == {"aws:Region", "aws:region"}


def test_two_equally_common_spellings_are_both_reported(folder: ProjectFolder) -> None:
    folder.set("dev", "aws:defaulttags", "{}")
    folder.set("prod", "aws:defaultTags", "{}")

    assert [(finding.rule, finding.key, finding.allowed) for finding in folder.validate().findings] == [
        ("misspelt-key", "aws:defaulttags", "aws:defaultTags"),
        ("misspelt-key", "aws:defaultTags", "aws:defaulttags"),
    ]


@pytest.mark.parametrize("key", ["aws:SecretKey", "AWS:secret-key", "orders:aws:secretKey", "secretKey"])
def test_a_credential_is_masked_in_any_spelling(folder: ProjectFolder, key: str) -> None:
    folder.replace("policies.toml", '["aws:secretKey"]', '["aws:secretKey", "secretKey"]')
    folder.write("Pulumi.dev.yaml", folder.read("Pulumi.dev.yaml") + f"  {key}: not-for-the-logs\n")

    report = folder.validate()

    assert "plain-credential" in {finding.rule for finding in report.findings}
    assert "not-for-the-logs" not in report.model_dump_json()


def test_a_key_that_the_project_declares_as_a_secret_is_a_credential(folder: ProjectFolder) -> None:
    folder.write("Pulumi.yaml", folder.read("Pulumi.yaml") + "  aws:proxy:\n    secret: true\n    default: hunter2\n")

    (finding,) = folder.validate().findings

    assert (finding.rule, finding.file, finding.stacks) == (
        "plain-credential",
        "Pulumi.yaml",
        ("dev", "staging", "prod"),
    )
    assert "hunter2" not in folder.validate().model_dump_json()


def test_findings_are_sorted_by_line(folder: ProjectFolder) -> None:
    folder.set("dev", "zzz", "1")
    folder.set("dev", "batchSize", "0")
    folder.set("dev", "environment", "x")

    assert [finding.line for finding in folder.validate().findings] == [2, 8, 9]


def test_a_key_that_the_project_declares_is_required_in_every_stack(folder: ProjectFolder) -> None:
    declared = "  team:\n    type: string\n  aws:profile:\n    value: x\n"
    folder.write("Pulumi.yaml", folder.read("Pulumi.yaml") + declared)

    findings = folder.validate().findings

    assert {(finding.rule, finding.key, finding.line) for finding in findings} == {("missing-key", "orders:team", 1)}
    assert [finding.file for finding in findings] == [f"Pulumi.{stack}.yaml" for stack in sorted(STACKS)]


def test_strict_turns_warnings_into_errors(folder: ProjectFolder) -> None:
    folder.set("dev", "batchSize", "7")

    assert [finding.severity for finding in folder.validate().findings] == ["warning"]
    assert [finding.severity for finding in folder.validate(strict=True).findings] == ["error"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (setting("dev", "batchSize", "5"), 0),
        (setting("dev", "batchSize", "7"), 0),
        (setting("dev", "batchSize", "0"), 1),
        (lambda folder: folder.write("Pulumi.dev.yaml", "- config\n"), 2),
    ],
)
def test_the_status_is_that_of_the_worst_finding(folder: ProjectFolder, change: Change, status: int) -> None:
    folder.set("prod", "lambdaRuntime", "python3.11")
    change(folder)

    assert folder.validate().status == status


def test_a_secret_appears_in_no_finding(folder: ProjectFolder) -> None:
    folder.set("dev", "aws:secretKey", "not-for-the-logs")
    folder.set("prod", "aws:secretKey", "not-for-the-logs")
    folder.set("prod", "lambdaMemoryMb", "{secure: not-for-the-logs}")

    assert "not-for-the-logs" not in folder.validate().model_dump_json()
