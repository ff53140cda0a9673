"""The account and region of a stack."""

import pytest

from tools.account import Account

CHINA = Account(id="123456789012", region="cn-north-1", partition="aws-cn", dns_suffix="amazonaws.com.cn")


def test_an_arn_names_partition_region_and_account() -> None:
    assert CHINA.arn("logs", "log-group:x") == "arn:aws-cn:logs:cn-north-1:123456789012:log-group:x"


def test_the_account_has_a_root_arn() -> None:
    assert CHINA.root_arn == "arn:aws-cn:iam::123456789012:root"


@pytest.mark.parametrize(
    ("arn", "account"),
    [
        (
            "arn:aws:lambda:us-east-1:123456789012:function:a",
            Account(id="123456789012", region="eu-west-1", partition="aws", dns_suffix="amazonaws.com"),
        ),
        (
            "arn:aws-us-gov:iam::123456789012:role/a",
            Account(id="123456789012", region="eu-west-1", partition="aws-us-gov", dns_suffix="amazonaws.com"),
        ),
        (
            "arn:aws-cn:sns:cn-north-1:123456789012:a",
            Account(id="123456789012", region="eu-west-1", partition="aws-cn", dns_suffix="amazonaws.com.cn"),
        ),
    ],
    ids=["aws", "aws-us-gov", "aws-cn"],
)
def test_the_account_is_read_from_an_arn(arn: str, account: Account) -> None:
    assert Account.of(arn, "eu-west-1") == account


@pytest.mark.parametrize("text", ["", "processor", "arn:aws:s3:::bucket", "https://sqs.example.com/123456789012/queue"])
def test_an_arn_without_an_account_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r" is not an ARN with an account$"):
        Account.of(text, "eu-west-1")


def test_the_account_is_that_of_the_first_arn_with_one() -> None:
    texts = [
        "bucket",
        "arn:aws:s3:::bucket",
        "arn:aws:sns:us-east-1:123456789012:a",
        "arn:aws:iam::210987654321:role/a",
    ]

    assert Account.named_in(texts, "us-east-1") == Account.of(texts[2], "us-east-1")


def test_texts_without_an_arn_name_no_account() -> None:
    assert Account.named_in(["bucket", "arn:aws:s3:::bucket"], "us-east-1") is None
