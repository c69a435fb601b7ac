"""How the command line speaks: results on standard output, everything else on standard error."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cache
from typing import Any, Final

import pydantic
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.core.formatting import number
from app.core.i18n import Locale, negotiate
from app.core.i18n import gettext as _
from app.core.i18n import say as spoken
from app.core.settings import Settings, get_settings
from app.invalid import wrong_fields

# An amount as text, or the sign that there is none.
_NUMBER: Final = re.compile(r"[-–—]?|[-−+]?[0-9][0-9,.]*(e[-+]?[0-9]+)?( ?%)?")
# Words in fewer cells than these are no longer read.
_LEAST_WIDTH: Final = 12


class CommandFailed(Exception):
    """An expected failure: one sentence, already in the reader's language, that says what to do."""

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@cache
def stderr() -> Console:
    """Where progress and messages go. Plain text when it is no terminal."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def say(message: str) -> None:
    """One line for the person who watches. Where it cannot be written, on a full disk say, nothing ends for that."""
    with suppress(OSError):
        stderr().print(escape(message))


def fail_line(message: str) -> None:
    """The one line that tells of a failure."""
    text = " ".join(message.split())
    with suppress(OSError):
        stderr().print(f"[bold red]sft-studio:[/] {escape(text)}")


def print_json(value: object) -> None:
    """The command's result, for machines: one JSON document on standard output."""
    only_ascii = "utf" not in (sys.stdout.encoding or "").lower()
    sys.stdout.write(json.dumps(value, ensure_ascii=only_ascii, indent=2) + "\n")


class Id(int):
    """A number that names something: it is copied as it stands, so a table puts no signs into it."""


def print_table(columns: list[str], rows: list[list[object]]) -> None:
    """The command's result, for people. Numbers stand in groups of digits, at the right of their column.

    In a terminal what is too long goes on in the next line, and what is too narrow for the columns has them below each other; else each
    row is a line of its own, for whatever reads it, be COLUMNS set by a program before it or not.
    """
    console = Console(highlight=False)
    shown = [[_shown(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, cells)) for cells in zip(columns, *shown, strict=True)]
    numbers = [_are_numbers(cells) for cells in zip(*rows, strict=True)] if rows else [False] * len(columns)
    if not console.is_terminal:
        console.width = sum(widths) + 2 * len(widths)
    least = [
        width if is_number else min(width, _LEAST_WIDTH)
        for width, is_number in zip(widths, numbers, strict=True)
    ]
    if sum(least) + 2 * (len(least) - 1) > console.width:
        _print(console, *(_below_each_other(columns, row) for row in shown))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, (name, is_number) in enumerate(zip(columns, numbers, strict=True)):
        # What is too long goes on in the next line: a name that is cut off cannot be copied.
        table.add_column(
            name,
            overflow="fold",
            no_wrap=is_number or (place == 0 and widths[0] <= _LEAST_WIDTH),
            justify="right" if is_number else "left",
        )
    for row in shown:
        table.add_row(*map(escape, row))
    _print(console, table)


def _below_each_other(columns: list[str], row: list[str]) -> str:
    """A row as lines of name and value."""
    lines = [
        f"[bold]{escape(name)}[/] {escape(cell)}".strip()
        for name, cell in zip(columns, row, strict=True)
        if cell
    ]
    return "\n".join(lines) + "\n"


def _print(console: Console, *parts: Table | str) -> None:
    """Without the blanks to the end of a line, which only a terminal does not show."""
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    text = captured.get()
    sys.stdout.write(
        text
        if console.is_terminal
        else "".join(f"{line.rstrip()}\n" for line in text.removesuffix("\n").split("\n"))
    )


def _are_numbers(cells: Sequence[object]) -> bool:
    """Whether a column holds numbers, and beside them at most the sign that there is none."""
    return all(map(_is_number, cells)) and any(char.isdigit() for cell in cells for char in _shown(cell))


def _is_number(cell: object) -> bool:
    """Whether it may stand in a column of numbers: one, or the sign that there is none."""
    if isinstance(cell, bool):
        return False
    return isinstance(cell, int | float) or cell is None or _NUMBER.fullmatch(str(cell)) is not None


def _shown(cell: object) -> str:
    """As people read it: a moment to the minute, by this machine's clock, and amounts in groups of digits."""
    match cell:
        case None:
            return ""
        case bool():
            return _("yes") if cell else _("no")
        case Id():
            return str(int(cell))
        case int():
            return number(cell)
        case float():
            return f"{cell:,}"
        case datetime():
            return f"{cell.astimezone():%Y-%m-%d %H:%M}"
        case _:
            return str(cell)


def locale_from_environment(environment: Mapping[str, str]) -> Locale:
    """What the terminal speaks: LC_ALL before LC_MESSAGES before LANG, as everywhere on Unix."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if environment.get(name):
            return negotiate(None, environment[name].replace("_", "-"))
    return "en"


def load_settings(**changes: Any) -> Settings:
    """The environment's settings with a command's own options on top; the data folder made absolute."""
    try:
        settings = get_settings()
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "?"
        variable = name if name.isupper() else f"SFT_STUDIO_{name.upper()}"
        called = _("The environment variable %(name)s") % {"name": variable}
        raise CommandFailed(spoken(wrong_fields([first], called=called)[0].sentence)) from error
    values = {name: value for name, value in changes.items() if value is not None}
    values["data_dir"] = settings.data_dir.expanduser().resolve()
    return settings.model_copy(update=values)
