"""Where a stack is deployed."""

from tools.account import Account

CHINA = Account(id="123456789012", region="cn-north-1", partition="aws-cn", dns_suffix="amazonaws.com.cn")


def test_an_arn_names_partition_region_and_account() -> None:
    assert CHINA.arn("logs", "log-group:x") == "arn:aws-cn:logs:cn-north-1:123456789012:log-group:x"


def test_the_account_itself_has_an_arn() -> None:
    assert CHINA.root_arn == "arn:aws-cn:iam::123456789012:root"
