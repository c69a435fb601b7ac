"""Marked renderings say what plain ones say, or there is none."""

import pytest

from app.masking import ChatTokenizer, MaskRefused
from app.masking.turns.marks import Placement
from app.masking.turns.renderings import Renderings
from tests.masking.turns.pieces import END, LOOP, PROMPT, TURN
from tests.support.masks import chat

MESSAGES = chat("Question", "Answer", "Again", "Same")["messages"]


def renderings(tokenizer: ChatTokenizer, source: str) -> Renderings:
    return Renderings(tokenizer.with_chat_template(source, "t", trusted=True), MESSAGES, None)


def test_marks_tell_where_texts_lie_in_the_whole_and_in_its_beginnings(smollm2: ChatTokenizer) -> None:
    found = renderings(smollm2, LOOP + TURN + END + PROMPT)
    mark = found.marks.messages[1]
    for rendering in (found.whole, found.marked(2, False), found.marked(3, True)):
        assert rendering is not None
        start, end = rendering.at(mark.start), rendering.at(mark.end)
        assert start is not None
        assert rendering.text[start:end] == "Answer"
    assert found.marked(2, True) is found.marked(2, True)


def test_where_marks_at_the_borders_change_the_text_they_stand_inside(smollm2: ChatTokenizer) -> None:
    found = renderings(smollm2, LOOP + "{{ m.content[0] | lower + m.content[1:] }}" + END)
    assert {marking.placement for marking in found.markings} <= {
        Placement.ONE_INSIDE,
        Placement.MIDDLE,
        Placement.BORDERS,
    }
    assert Placement.BORDERS not in {marking.placement for marking in found.markings}


def test_a_beginning_that_the_template_refuses_is_none(smollm2: ChatTokenizer) -> None:
    found = renderings(
        smollm2, "{% if messages | length < 3 %}{{ raise_exception('short') }}{% endif %}" + LOOP + TURN + END
    )
    assert found.marked(2, False) is None
    assert found.marked(3, False) is not None


def test_a_template_that_never_says_the_same_twice_is_refused_by_the_turn(smollm2: ChatTokenizer) -> None:
    source = LOOP + "{{ m.content + (range(10**5) | random | string) }}" + END
    with pytest.raises(MaskRefused, match="t renders turn 1 differently when its text is marked"):
        renderings(smollm2, source)
