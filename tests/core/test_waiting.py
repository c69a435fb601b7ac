"""Tests in the browser wait for what they expect: what a page has just been told to do, it does a moment later."""

import ast
from pathlib import Path

TESTS = Path(__file__).parents[1]


def test_no_browser_test_asks_once_for_an_address_that_a_page_takes_a_moment_to_have() -> None:
    # The browser tells the address in an event of its own: `expect(page).to_have_url()` asks until it is there.
    asked_once = [
        f"{path.relative_to(TESTS)}:{found.lineno}"
        for path in TESTS.rglob("*.py")
        if "playwright" in (text := path.read_text("utf-8"))
        for statement in ast.walk(ast.parse(text))
        if isinstance(statement, ast.Assert)
        for found in ast.walk(statement.test)
        if isinstance(found, ast.Attribute) and found.attr == "url"
    ]
    assert not asked_once
