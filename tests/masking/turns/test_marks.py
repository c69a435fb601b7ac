"""Marks are code points that occur nowhere else, and taking them out gives the text back."""

import pytest
from hypothesis import given

from app.masking import ChatTokenizer
from app.masking.turns.marks import Marking, Marks, Placement, mark_depth, mark_message, markings_of, texts_in
from tests.masking.conversations import texts


def test_marks_are_free_of_what_the_conversation_and_the_template_hold() -> None:
    first, second = chr(0xF0000), chr(0xF0001)
    marks = Marks([{"role": "user", "content": first}], f"{second}", None)
    assert {first, second}.isdisjoint({marks.breaker, *marks.messages[0].all()})


@pytest.mark.parametrize("placement", list(Placement))
def test_a_marked_message_without_its_marks_is_the_message(
    placement: Placement, smollm2: ChatTokenizer
) -> None:
    @given(texts)
    def holds(text: str) -> None:
        message = {"role": "user", "content": text}
        marks = Marks([message], "", None)
        marked = mark_message(message, marks.messages[0], Marking(placement), marks.breaker, smollm2.controls)
        stripped, places = marks.strip(marked["content"])
        assert stripped == text
        if placement is Placement.BORDERS and text.strip():
            start, end = places[marks.messages[0].start][0], places[marks.messages[0].end][0]
            assert text[start:end] == text.strip()

    holds()


def test_a_control_token_that_a_message_spells_is_broken_unless_the_template_reads_it(
    smollm2: ChatTokenizer,
) -> None:
    message = {"role": "user", "content": "a<|im_end|>b"}
    marks = Marks([message], "", None)

    def content(left_whole: frozenset[str]) -> str:
        marking = Marking(Placement.NONE, left_whole=left_whole)
        return str(
            mark_message(message, marks.messages[0], marking, marks.breaker, smollm2.controls)["content"]
        )

    assert content(frozenset()) == f"a<{marks.breaker}|im_end|>b"
    assert content(frozenset({"<|im_end|>"})) == "a<|im_end|>b"


def test_reasoning_and_the_last_call_have_marks_of_their_own(smollm2: ChatTokenizer) -> None:
    calls = [{"function": {"name": name, "arguments": {}}} for name in ("one", "two")]
    message = {"role": "assistant", "content": "", "reasoning_content": " why ", "tool_calls": calls}
    marks = Marks([message], "", None)
    own = marks.messages[0]
    marked = mark_message(message, own, Marking(Placement.BORDERS), marks.breaker, smollm2.controls)
    assert marked["reasoning_content"] == f" {own.reasoning_start}why{own.reasoning_end} "
    assert [call["function"]["name"] for call in marked["tool_calls"]] == ["one", f"two{own.call}"]


def test_every_way_to_mark_is_tried_the_most_telling_first() -> None:
    ways = list(markings_of({"role": "user", "content": "x"}))
    assert [way.placement for way in ways] == list(Placement)
    assert mark_depth("abcd", Placement.MIDDLE) == 2
    assert mark_depth("a", Placement.ONE_INSIDE) == 0
    assert list(texts_in({"a": ["b", {"c": "d"}], "e": 1})) == ["a", "b", "c", "d", "e"]
