"""A page loads each sheet that has a rule for what stands on it: no class is styled on one page and forgotten on another."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fastapi import FastAPI

from app.accounts.models import Role
from app.files import shipped
from tests.support.pages import pages_of, run_id
from tests.support.people import make_person

__all__ = ["run_id"]

SHEETS = shipped("static") / "css"


class Classes(HTMLParser):
    """The style sheets that a page loads, and the classes and ids of what stands on it."""

    def __init__(self) -> None:
        super().__init__()
        self.sheets: set[str] = set()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if given.get("rel") == "stylesheet":
            self.sheets.add(Path(given["href"].split("?")[0]).name)
        self.found.update(f".{name}" for name in given.get("class", "").split())
        if given.get("id"):
            self.found.add(f"#{given['id']}")


def rules() -> Iterator[tuple[str, str, set[str]]]:
    """Of every selector the sheet, its text, and the classes and ids that it wants."""
    for file in sorted(SHEETS.glob("*.css")):
        text = re.sub(r"/\*.*?\*/", "", file.read_text("utf-8"), flags=re.DOTALL)
        for selectors in re.findall(r"([^{};]+)\{", text):
            # Not at a comma within brackets.
            for selector in re.split(r",(?![^()]*\))", selectors.strip()):
                if names := set(re.findall(r"[.#][a-z][\w-]*", selector)):
                    yield file.name, selector.strip(), names


@pytest.mark.usefixtures("run_id")
def test_no_page_leaves_out_the_sheet_that_styles_what_stands_on_it(app: FastAPI) -> None:
    wanted = list(rules())
    assert ("tables.css", ".table td.short", {".table", ".short"}) in wanted
    missing: dict[tuple[str, str], set[str]] = {}
    seen = 0
    for address, text, _offers in pages_of(make_person(app, Role.ADMIN).browser):
        page = Classes()
        page.feed(text)
        if page.sheets:
            seen += 1
            for sheet, selector, names in wanted:
                if names <= page.found and sheet not in page.sheets:
                    missing.setdefault((sheet, selector), set()).add(address)
    assert seen > 20
    assert not missing, missing
