"""What a page reads is said at its head, and stands beside its `render`: nobody searches the whole program for a name."""

import re
from pathlib import Path

import pytest
from jinja2 import nodes

from app.core.templating import templates
from tests.support.template_inputs import inputs_of, needed_by, pages, sources

PAGES = pages()
TEMPLATES = Path(__file__).parents[2] / "templates"
HEAD = re.compile(r"\{#(.*?)#\}", re.S)
# What only those give who include a part of the page, and the part does without; what the ports of exports and of the
# checklist give to runs.
OF_ITS_PARTS = {"back", "swapped", "export_kinds", "exports", "exporting", "run_is_over"}
OF_ITS_PARTS |= {"checklist", "checklist_counts", "hub", "hub_setting"}
NAMED = re.compile(r"[\w/]+\.html")


def _said(name: str, met: tuple[str, ...] = ()) -> str:
    """The first comment of a template, of those it names as its context, and of what it includes."""
    if name in met:
        return ""
    source = (TEMPLATES / name).read_text(encoding="utf-8")
    comment = HEAD.search(source)
    said = comment[1] if comment else ""
    others = [part.template for part in templates.parse(source).find_all((nodes.Include, nodes.Extends))]
    named = [other.value for other in others if isinstance(other, nodes.Const)]
    for other in NAMED.findall(said):
        beside = str(Path(name).parent / other)
        named.append(beside if (TEMPLATES / beside).is_file() else other)
    return " ".join([said, *(_said(other, (*met, name)) for other in named)])


# What stands before a title in the tag that has it.
BEFORE_TITLE = re.compile(r"\stitle=\"")
TAG = re.compile(r"<(\w+)")
# What the keyboard reaches by itself; a moment in the reader's own words, which its title only repeats in those of a machine.
REACHED = {"a", "button", "summary", "time"}


def test_what_a_title_says_is_reached_by_the_keyboard() -> None:
    """tooltips.js shows it beside what has the focus; nothing else does."""
    found, wrong = 0, []
    for path in sorted(TEMPLATES.rglob("*.html")):
        text = path.read_text(encoding="utf-8")
        for title in BEFORE_TITLE.finditer(text):
            tag = list(TAG.finditer(text, max(0, title.start() - 600), title.start()))[-1]
            attributes = text[tag.start() : title.start()]
            found += 1
            # Each token of a mask is walked and told in words by the preview itself.
            if (
                tag[1] not in REACHED
                and 'tabindex="0"' not in attributes
                and 'class="token' not in attributes
            ):
                wrong.append(f"{path.relative_to(TEMPLATES)}: {attributes[:80]}")
    assert found >= 20
    assert wrong == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_what_it_reads(page: str) -> None:
    said = _said(page)
    assert sorted(name for name in inputs_of(page) if not re.search(rf"\b{name}\b", said)) == []


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_reads_is_given_where_it_is_rendered(page: str) -> None:
    missing = {name for name, places in sources(page, PAGES[page]).items() if not places}
    assert sorted((missing & needed_by(page)) - OF_ITS_PARTS) == []


def test_every_chart_has_words_for_having_no_values() -> None:
    bare = [
        f"{path.relative_to(TEMPLATES)}: {tag}"
        for path in TEMPLATES.rglob("*.html")
        for tag in re.findall(r"<[^<]*data-(?:curve|line-chart)=[^<]*>", path.read_text(encoding="utf-8"))
        if "data-empty=" not in tag
    ]
    assert bare == []


def test_what_asks_for_a_part_of_an_answer_does_not_hand_that_down_to_the_forms_in_it() -> None:
    handing_down = [
        f"{path.relative_to(TEMPLATES)}: {tag}"
        for path in TEMPLATES.rglob("*.html")
        for tag in re.findall(r"<[^<]*hx-select=[^<]*>", path.read_text(encoding="utf-8"))
        if set(re.findall(r"hx-select(?:-oob)?(?==)", tag))
        - {name for names in re.findall(r'hx-disinherit="([^"]*)"', tag) for name in names.split()}
    ]
    assert handing_down == []
