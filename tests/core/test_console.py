"""What the command line says, in which language, and with which settings."""

import ast
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.text import Text

from app.core.console import (
    CommandFailed,
    Id,
    fail_line,
    load_settings,
    locale_from_environment,
    print_json,
    print_table,
)
from app.core.settings import get_settings
from app.files import CODE_FOLDER


def test_the_terminals_language_is_read_as_everywhere_on_unix() -> None:
    assert locale_from_environment({"LANG": "zh_CN.UTF-8"}) == "zh-CN"
    assert locale_from_environment({"LC_ALL": "en_GB.UTF-8", "LANG": "zh_CN.UTF-8"}) == "en"
    assert locale_from_environment({"LC_ALL": "", "LC_MESSAGES": "zh_CN"}) == "zh-CN"
    assert locale_from_environment({}) == "en"


def test_results_go_out_and_failures_go_beside_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": "你好"})
    fail_line("First\n  second [bold]third[/]")
    out, err = capsys.readouterr()
    assert json.loads(out) == {"name": "你好"}
    assert err == "sft-studio: First second [bold]third[/]\n"


def test_a_wrong_variable_is_named_and_an_option_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SFT_STUDIO_DATA", str(tmp_path / "a" / ".." / "b"))
    monkeypatch.setenv("SFT_STUDIO_PORT", "9000")
    get_settings.cache_clear()
    try:
        settings = load_settings(port=9001, host=None)
        assert (settings.port, settings.host, settings.data_dir) == (9001, "127.0.0.1", tmp_path / "b")
        monkeypatch.setenv("SFT_STUDIO_PORT", "many")
        get_settings.cache_clear()
        with pytest.raises(CommandFailed, match="SFT_STUDIO_PORT"):
            load_settings()
    finally:
        get_settings.cache_clear()


def test_a_table_tells_moments_to_the_minute_by_the_clock_of_the_machine(
    capsys: pytest.CaptureFixture[str],
) -> None:
    moment = datetime(2026, 11, 29, 11, 40, 39, 539767).astimezone()
    print_table(["when"], [[moment.astimezone(UTC)]])
    assert capsys.readouterr().out.split("\n")[1].strip() == "2026-11-29 11:40"


HEADS = ["id", "名称", "parameters", "loss", "ready", "words"]
ROWS: list[list[object]] = [
    [Id(1234567), "销售模型", 134515008, "0.4321", True, "short"],
    [Id(8), "other", None, "–", False, "long words " * 12],
]


def test_numbers_stand_in_groups_at_the_right_and_ids_as_they_are_copied(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Programs that know a terminal's width hand it on to those that they start.
    monkeypatch.setenv("COLUMNS", "40")
    print_table(HEADS, ROWS)
    head, first, second = capsys.readouterr().out.splitlines()
    assert first.split() == ["1234567", "销售模型", "134,515,008", "0.4321", "yes", "short"]
    # What is no terminal gets each row in a line of its own, without colour or blanks at its end.
    assert second.split()[:5] == ["8", "other", "–", "no", "long"]
    assert second.endswith("long words")
    assert not {"\x1b", "…"} & set(head + first + second)
    for name in ("id", "parameters", "loss"):
        assert (
            len({cell_len(line[: line.index(cell) + len(cell)]) for line, cell in _places(name, head, first)})
            == 1
        )
    assert cell_len(first[: first.index("yes")]) == cell_len(second[: second.index("no ")])


def _places(name: str, head: str, first: str) -> list[tuple[str, str]]:
    cell = {"id": "1234567", "parameters": "134,515,008", "loss": "0.4321"}[name]
    return [(head, name), (first, cell)]


@pytest.mark.parametrize("width", [24, 60, 90])
def test_a_narrow_terminal_has_every_word_within_its_width(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    print_table(HEADS, ROWS)
    lines = [line.rstrip() for line in Text.from_ansi(capsys.readouterr().out).plain.splitlines()]
    assert max(map(cell_len, lines)) <= width
    assert any("134,515,008" in line for line in lines)
    assert sum(line.count("long") for line in lines) == 12
    assert ("parameters 134,515,008" in lines) == (width == 24)


def test_an_empty_table_has_its_heads(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["id", "name"], [])
    assert capsys.readouterr().out == "id  name\n"


def test_no_command_puts_a_bare_id_into_a_table() -> None:
    bare = []
    for path in (CODE_FOLDER / "app/cli").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            cells = node.elts if isinstance(node, ast.List) else []
            bare += [
                f"{path.name}:{cell.lineno}"
                for cell in cells
                if isinstance(cell, ast.Attribute) and (cell.attr == "id" or cell.attr.endswith("_id"))
            ]
    assert not bare, "an id in a table is Id(…), which is not written in groups of digits"
