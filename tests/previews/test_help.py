"""The page that explains masks: complete in both languages, and its pictures are what the software does."""

import json
import re

import pytest

from app.core.i18n import LOCALES, Locale
from app.mask_checks.check_texts import CHECK_LABELS, CHECK_MEANINGS, CHECK_REMEDIES
from app.masking import CHECK_NAMES, ChatTokenizer
from app.previews.check_pictures import check_pictures
from app.previews.pictures import PICTURES, file_of
from tests.previews.drawing import drawn
from tests.support.people import Person, visible_text


def test_every_check_has_a_line_a_meaning_a_remedy_and_a_picture() -> None:
    for texts in (CHECK_LABELS, CHECK_MEANINGS, CHECK_REMEDIES, *map(check_pictures, LOCALES)):
        assert tuple(texts) == CHECK_NAMES
    for locale in LOCALES:
        assert all(right != wrong for right, wrong in check_pictures(locale).values())


@pytest.mark.parametrize(("locale", "word"), [("en", "What a loss mask is"), ("zh-CN", "什么是损失掩码")])
def test_the_help_page_explains_everything_in_both_languages(
    annotator: Person, locale: str, word: str
) -> None:
    html = annotator.browser.get("/help/masking", headers={"Accept-Language": locale}).text
    assert word in visible_text(html)
    ids = set(re.findall(r' id="([^"]+)"', html))
    assert {f"check-{name}" for name in CHECK_NAMES} <= ids
    # every line of the contents leads somewhere, and links from other pages do too
    assert set(re.findall(r'href="#([^"]+)"', html)) <= ids
    assert {"refused", "red", "version", "settings", "foreign"} <= ids
    assert html.count("<figure") >= 8
    assert "token-run--cut" in html
    assert "token-run--trained" in html


@pytest.mark.parametrize("locale", LOCALES)
def test_the_pictures_are_what_the_software_does(smollm2: ChatTokenizer, locale: Locale) -> None:
    assert json.loads(file_of(locale).read_text(encoding="utf-8")) == drawn(smollm2, locale)


@pytest.mark.parametrize("locale", LOCALES)
def test_each_picture_shows_what_its_words_say(locale: Locale) -> None:
    pictures = PICTURES[locale]

    def trained(name: str) -> set[int | None]:
        return {row.turn for sample in pictures[name].samples for row in sample.rows if row.trained}

    assert trained("strategy.assistant") == {1, 3}
    assert trained("strategy.last_assistant") == {3}
    assert trained("strategy.content") == {0, 1, 2, 3}
    assert trained("flags") == {3}
    assert [sample.turns for sample in pictures["handling.sliding_window"].samples] == [[0, 1], [2, 3]]
    assert [sample.turns[-1] for sample in pictures["handling.per_turn"].samples] == [1, 3]
    cut = pictures["cut"].samples[0]
    assert (trained("cut"), cut.kept < cut.size) == ({1}, True)
    spelled = pictures["spelled"].samples[0].rows[0]
    assert sum(glyph.special for group in spelled.groups for run in group.runs for glyph in run.glyphs) == 2
    thinking, skipped = (pictures[name].samples[0] for name in ("thinking", "thinking_skipped"))
    assert thinking.trained > skipped.trained > 0
    red = [check["name"] for check in pictures["red"].samples[0].checks if not check["passed"]]
    assert red == ["end_of_turn"]
