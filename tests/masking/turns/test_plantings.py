"""Marks that disturb a template are told from those that do not."""

from app.masking import ChatTokenizer
from app.masking.turns.planting import pieces_of
from app.masking.turns.plantings import Plantings
from app.masking.turns.renderings import Renderings
from tests.masking.turns.pieces import ASKED, CALL, CALLS, END, LOOP, PROMPT, TURN

MESSAGES = [*ASKED, CALL]


def plantings(smollm2: ChatTokenizer, source: str) -> Plantings:
    return Plantings(Renderings(smollm2.with_chat_template(source, "one", trusted=True), MESSAGES, None))


def test_pieces_planted_together_are_found_where_they_are_written(smollm2: ChatTokenizer) -> None:
    made = plantings(smollm2, LOOP + TURN + CALLS + END + PROMPT)
    name, key, value = pieces_of(MESSAGES, None)
    found = made.together([name, key, value])
    assert found is not None
    text = made._renderings.text
    assert [text[found[one][0] - 1 : found[one][0] + 2] for one in (name, key)] == ["ice", 'of"']
    assert text[found[value][0] - 1] == "a"


def test_a_template_that_knows_a_word_is_told_by_where_it_parts(smollm2: ChatTokenizer) -> None:
    knows = "{% for c in m.tool_calls or [] %}{{ 'known' if c.function.name == 'price' else c.function.name }}{% endfor %}"
    made = plantings(smollm2, LOOP + TURN + knows + END + PROMPT)
    name = pieces_of(MESSAGES, None)[0]
    assert made.together([name]) is None
    assert made.where_it_parts(name) == [made._renderings.text.index("known")]
    refuses = knows.replace("c.function.name }}", "raise_exception('unknown') }}")
    assert plantings(smollm2, LOOP + TURN + refuses + END + PROMPT).where_it_parts(name) is None
    silent = plantings(smollm2, LOOP + TURN + END + PROMPT)
    assert silent.where_it_parts(name) == []
    assert silent.together([name]) == {name: []}
