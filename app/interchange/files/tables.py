"""A table as it stood in a file, before anybody knows what its columns mean."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from app.interchange.sentences import files as say
from app.interchange.sentences.problems import LineProblem


@dataclass(frozen=True)
class Row:
    """One row: the line where it begins (of a workbook: its number), its cells as text. `unsaved`: column (from 0) and name of those
    cells that hold a formula whose value nobody knows, empty though they are not.
    """

    line: int
    cells: tuple[str, ...]
    unsaved: tuple[tuple[int, str], ...] = ()

    def unreadable(self, columns: Collection[int]) -> LineProblem | None:
        """Why it cannot be read where these columns are, if it cannot."""
        for column, cell in self.unsaved:
            if column in columns:
                return LineProblem.of(say.FORMULA_UNSAVED, self.line, cell=cell)
        return None


@dataclass(frozen=True)
class Table:
    """Its kind, the titles of its columns, and the rows below them."""

    kind: Literal["csv", "xlsx"]
    titles: tuple[str, ...]
    rows: Iterator[Row | LineProblem]

    def names(self) -> tuple[str, ...]:
        """One name for each column, none of them twice: its title, or its number."""
        names: list[str] = []
        for number, title in enumerate(self.titles, 1):
            name = title or f"#{number}"
            names.append(name if name not in names else f"{name} #{number}")
        return tuple(names)
