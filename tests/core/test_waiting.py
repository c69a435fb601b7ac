"""Tests wait for what they expect, which may take a moment, and never without end."""

import ast
from pathlib import Path

from tests.support.sources import ROOT, files, nodes_of

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


def test_whoever_waits_in_a_test_says_how_long_at_most() -> None:
    # In a thread the time limit of a test interrupts nothing; what waits for that thread waits on, and with it all tests after it.
    endless = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in files("tests")
        for node in nodes_of(path)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"acquire", "wait", "join", "result", "communicate"}
        and not node.args
        and not node.keywords
    ]
    assert not endless


def test_whatever_drives_a_browser_is_marked_so() -> None:
    # Without the mark it runs beside the others, in each of their processes with a browser of its own.
    unmarked = [
        path.name
        for path in (TESTS / "browser").glob("test_*.py")
        if "pytest.mark.browser" not in path.read_text("utf-8")
    ]
    assert not unmarked
