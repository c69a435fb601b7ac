"""What the command line says, in which language, and with which settings."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.core.console import (
    CommandFailed,
    fail_line,
    load_settings,
    locale_from_environment,
    print_json,
    print_table,
)
from app.core.settings import get_settings


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
