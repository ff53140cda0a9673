"""The accounts that a stack may be deployed to."""

import pytest

from tools.configuration.accounts import read_accounts

ACCOUNT, OTHER_ACCOUNT = "123456789012", "210987654321"


@pytest.mark.parametrize(
    ("text", "accounts"),
    [
        (f'["{ACCOUNT}"]', (ACCOUNT,)),
        (f"[{ACCOUNT}]", (ACCOUNT,)),
        (f'[ "{ACCOUNT}", "{OTHER_ACCOUNT}" ]', (ACCOUNT, OTHER_ACCOUNT)),
        ("[]", ()),
        ("", ()),
    ],
)
def test_a_list_of_accounts_is_read(text: str, accounts: tuple[str, ...]) -> None:
    assert read_accounts(text) == accounts


@pytest.mark.parametrize(
    "text", [ACCOUNT, f'"{ACCOUNT}"', "any", '["12345"]', f'["{ACCOUNT}", "x"]', f'["{ACCOUNT}0"]', '{"secure": "A"}']
)
def test_anything_else_is_refused(text: str) -> None:
    assert read_accounts(text) is None
