"""Every refusal has a code of machines' kind and its Chinese, with the same places."""

import re

import pytest
from babel.messages.pofile import read_po

from app.core.i18n import LOCALE_DIR
from app.dialogue import refusals
from app.dialogue.refusals import TEMPLATES, DialogueRefused, Refusal

REFUSALS = {name: value for name, value in vars(refusals).items() if isinstance(value, Refusal)}
PLACE = re.compile(r"%\((\w+)\)([sd])")


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_it_has_a_code_and_its_chinese(refusal: Refusal) -> None:
    assert re.fullmatch("[a-z_]+", refusal.code)
    assert refusal.template in TEMPLATES
    with (LOCALE_DIR / "zh_CN" / "dialogue.po").open("rb") as file:
        chinese = {str(one.id): str(one.string) for one in read_po(file, locale="zh_CN") if one.id}
    translated = chinese[refusal.template]
    assert re.search("[\u4e00-\u9fff]", translated)
    assert sorted(PLACE.findall(translated)) == sorted(PLACE.findall(refusal.template))


def test_it_says_its_sentence_and_its_place() -> None:
    refused = DialogueRefused(refusals.TOO_MANY_MESSAGES, "messages", limit=3)
    assert str(refused) == "A conversation can have at most 3 messages. Split it."
    assert (refused.code, refused.field, refused.sentence.values) == (
        "too_many_messages",
        "messages",
        {"limit": 3},
    )
