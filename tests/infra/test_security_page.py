"""The page on security tells the rights that the templates give, and no others."""

from __future__ import annotations

from tests.support.iam_page import OF_CLOUDFORMATION, table
from tests.support.templates import ROOT

PAGE = ROOT / "docs/security.md"


def test_the_table_is_that_of_the_templates() -> None:
    assert table() in PAGE.read_text(), "Put the output of `python -m tests.support.iam_page` there."
    assert all(name in PAGE.read_text() for name in OF_CLOUDFORMATION)
