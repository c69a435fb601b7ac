"""Where the texts of messages lie in the rendering."""

from app.masking import ChatTokenizer
from tests.masking.turns.looking import parts_of
from tests.support.masks import chat

MESSAGES = chat("Hi", "Hello", "Price?", "Ten.")["messages"]


def test_every_text_is_found_between_its_marks(smollm2: ChatTokenizer) -> None:
    parts = parts_of(smollm2, MESSAGES)
    for place, message in enumerate(MESSAGES):
        start, end = parts.borders.content(place)
        assert start is not None
        assert parts.renderings.text[start:end] == message["content"]


def test_a_text_of_which_only_the_middle_can_be_marked_is_found_whole(smollm2: ChatTokenizer) -> None:
    source = "{% for m in messages %}<{{ m.content[0] | upper + m.content[1:] }}>{% endfor %}"
    parts = parts_of(smollm2.with_chat_template(source, trusted=True), chat("Question", "Answer")["messages"])
    start, end = parts.borders.content(1)
    assert parts.renderings.text[start:end] == "Answer"


def test_a_text_that_is_written_twice_has_no_borders(smollm2: ChatTokenizer) -> None:
    source = "{% for m in messages %}{{ m.content + '|' + m.content }}{% endfor %}"
    parts = parts_of(smollm2.with_chat_template(source, trusted=True), MESSAGES)
    assert parts.borders.content(1) == (None, None)


def test_renderings_are_laid_side_by_side_at_the_last_text_that_both_show(smollm2: ChatTokenizer) -> None:
    parts = parts_of(smollm2, MESSAGES)
    prompt = parts.renderings.marked(3, True)
    assert prompt is not None
    here, there = parts.borders.anchor(3, prompt)
    assert parts.renderings.text[:here].endswith("Price?")
    assert prompt.text[:there].endswith("Price?")
    assert parts.borders.next_text(1, here - len("Price?")) == here - len("Price?")
    assert parts.borders.next_text(3, 0) == len(parts.renderings.text)
