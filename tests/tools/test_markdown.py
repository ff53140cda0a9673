"""Tests that any text is escaped in Markdown tables and inline code."""

from tools.markdown import code, table


def test_a_table_escapes_cell_separators() -> None:
    assert [*table(("a", "b"), [("1|2", "3")])] == ["| a | b |", "|---|---|", "| 1\\|2 | 3 |"]


def test_inline_code_is_one_line_without_backticks() -> None:
    assert [code(text) for text in ("a`b\n\x1b[31m", "")] == ["`a'b\\n\\x1b[31m`", ""]
