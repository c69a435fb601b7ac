"""Two sentences that a page joins have between them what their language has there: a space in English, nothing in Chinese."""

import re
from html.parser import HTMLParser

import pytest
from fastapi import FastAPI

from app.accounts.models import Role
from app.core.i18n import gap, use_locale
from tests.support.pages import pages_of, run_id
from tests.support.people import make_person

__all__ = ["run_id"]

# The end of a sentence, room, and the beginning of another; a button stands apart as it does anywhere.
JOINED = re.compile(r".{0,30}[。！？][ \n]+[\u4e00-\u9fff].{0,20}")
WITHIN_A_LINE = {"a", "strong", "em", "span", "code"}
# Set apart by the page's layout.
APART = {"check-row__action"}
SILENT = {"script", "style", "template"}


class Lines(HTMLParser):
    """What stands in one line of a page, and what its attributes say."""

    def __init__(self) -> None:
        super().__init__()
        self.lines = [""]
        self._silent = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._silent += tag in SILENT
        self.lines[:0] = [value for _name, value in attributes if value]
        if tag not in WITHIN_A_LINE or dict(attributes).get("class") in APART:
            self.lines.append("")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in SILENT
        if tag not in WITHIN_A_LINE:
            self.lines.append("")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.lines[-1] += data


def test_a_gap_is_what_the_language_has_between_sentences() -> None:
    assert gap() == " "
    with use_locale("zh-CN"):
        assert gap() == ""


@pytest.mark.usefixtures("run_id")
def test_no_page_puts_a_space_between_two_chinese_sentences(app: FastAPI) -> None:
    browser = make_person(app, Role.ADMIN).browser
    browser.headers["Accept-Language"] = "zh-CN"
    joined: dict[str, list[str]] = {}
    seen = 0
    for address, text, _offers in pages_of(browser):
        lines = Lines()
        lines.feed(text)
        seen += any("。" in line for line in lines.lines)
        if found := [one for line in lines.lines for one in JOINED.findall(line)]:
            joined[address] = found
    assert seen > 20, "the pages are Chinese"
    assert joined == {}
