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


def test_the_mark_of_browser_tests_stands_in_their_own_files() -> None:
    # `pytest -m browser` reads no other file: what is marked from elsewhere would be left out unseen.
    elsewhere = [
        str(path.relative_to(TESTS))
        for path in TESTS.rglob("*.py")
        if "mark.browser" in path.read_text("utf-8") and not path.name.startswith("test_")
    ]
    assert elsewhere == ["conftest.py"]


# What a locator tells of the moment at which it is asked.
_OF_A_MOMENT = {
    "all_inner_texts",
    "get_attribute",
    "inner_html",
    "inner_text",
    "input_value",
    "is_checked",
    "is_disabled",
    "is_editable",
    "is_enabled",
    "is_hidden",
    "is_visible",
    "text_content",
}


def test_no_browser_test_asks_once_for_what_a_page_comes_to_show() -> None:
    # `expect` asks until it is so; what was there at once here comes later where the browser waits for its turn.
    asked_once = [
        f"{path.relative_to(TESTS)}:{found.lineno}"
        for path in files("tests")
        if "playwright" in path.read_text("utf-8")
        for statement in nodes_of(path)
        if isinstance(statement, ast.Assert)
        for found in ast.walk(statement.test)
        if isinstance(found, ast.Call) and isinstance(found.func, ast.Attribute)
        if found.func.attr in _OF_A_MOMENT or (found.func.attr == "count" and not found.args)
    ]
    assert not asked_once


_SHORTEST_BOUND = 60


def test_a_bound_on_a_wait_is_one_that_only_a_failing_test_comes_to() -> None:
    # What takes a moment here takes half a minute where three tests share two processors. Less than a second is the pace of a loop.
    short = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in files("tests")
        for node in nodes_of(path)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if node.func.attr in {"communicate", "join", "result", "wait", "wait_procs"}
        for bound in (*node.args, *(one.value for one in node.keywords if one.arg == "timeout"))
        if isinstance(bound, ast.Constant) and isinstance(bound.value, int | float)
        if 1 < bound.value < _SHORTEST_BOUND
    ]
    assert not short


def test_no_loop_of_a_test_waits_without_end() -> None:
    # `wait_until` has an end, and says what did not happen. A loop that asks an Event, or looks at a clock, has one too.
    endless = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in files("tests")
        for node in nodes_of(path)
        if isinstance(node, ast.While) and not _NAMES_OF_AN_END & _names(node)
        for inner in ast.walk(node)
        if (
            isinstance(inner, ast.Call)
            and isinstance(inner.func, ast.Attribute)
            and inner.func.attr == "sleep"
        )
        # One that does nothing meanwhile, and asks again and again without a pause.
        or (isinstance(inner, ast.Pass) and inner in node.body)
    ]
    assert not endless


# Who asks for what comes `next` waits for whoever gives it; a disk that is written to is full in the end.
_NAMES_OF_AN_END = {"monotonic", "is_set", "wait", "is_alive", "next", "stop_requested", "furthest", "write"}


def _names(node: ast.AST) -> set[str]:
    return {
        inner.attr if isinstance(inner, ast.Attribute) else inner.id
        for inner in ast.walk(node)
        if isinstance(inner, ast.Attribute | ast.Name)
    }


def test_other_processes_are_looked_at_where_their_end_at_any_moment_is_thought_of() -> None:
    # psutil raises for one that has ended since it was found, and for one that nobody has waited for: rarely, and elsewhere.
    looks = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in files("tests")
        if "psutil" in path.read_text("utf-8") and path != TESTS / "support" / "processes.py"
        for node in nodes_of(path)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if node.func.attr in {"cmdline", "is_running", "pid_exists"}
    ]
    assert not looks


def test_a_port_for_another_process_is_one_that_nobody_else_is_given() -> None:
    # One that was bound and let go again may be anybody's by the time at which the process binds it.
    let_go = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in files("tests")
        for node in nodes_of(path)
        if isinstance(node, ast.With)
        for item in node.items
        if ast.unparse(item.context_expr).startswith("socket.socket(")
        for inner in ast.walk(node)
        if isinstance(inner, ast.Attribute) and inner.attr == "getsockname"
    ]
    assert not let_go


def test_no_page_is_timed_by_a_clock_that_other_work_slows() -> None:
    # The benchmarks say what else runs; a test does not know. `Performance.getMetrics` tells what the page's own thread has worked.
    timed = [
        path.name for path in TESTS.rglob("test_*_in_browser.py") if "performance." in path.read_text("utf-8")
    ]
    assert not timed
