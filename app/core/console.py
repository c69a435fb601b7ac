"""How the command line speaks: results on standard output, everything else on standard error."""

import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from functools import cache
from typing import Any

import pydantic
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.core.i18n import Locale, negotiate
from app.core.i18n import gettext as _
from app.core.i18n import say as spoken
from app.core.settings import Settings, get_settings
from app.invalid import wrong_fields


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


def print_table(columns: list[str], rows: list[list[object]]) -> None:
    """The command's result, for people."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, name in enumerate(columns):
        # What is too long goes on in the next line: a name that is cut off cannot be copied.
        table.add_column(name, overflow="fold", no_wrap=place == 0)
    for row in rows:
        table.add_row(*(escape(_shown(cell)) for cell in row))
    Console(highlight=False).print(table)


def _shown(cell: object) -> str:
    """As people read it: a moment to the minute, by this machine's clock."""
    return f"{cell.astimezone():%Y-%m-%d %H:%M}" if isinstance(cell, datetime) else str(cell)


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
