"""Sentences: filled, translated, stored and read back, whatever their values are."""

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.errors import Conflict, Invalid
from app.core.i18n import say, use_locale
from app.masking.errors import TokenizerUnusable
from app.sentences import Failure, FailureCode, Sentence, SentenceError

NAMES = st.text("abcdefgh_", min_size=1, max_size=8)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.lists(st.integers())
)
ANYTHING = st.one_of(
    SCALARS,
    st.builds(Path, st.just("/models")),
    st.sampled_from(["\ud83d", "a\udcff.txt", "nul \0"]),
    st.builds(Decimal, st.integers()),
    st.builds(object),
)
# The first example waits for the tables of characters.
patiently = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
CONVERSIONS = st.sampled_from(["s", "d", "r", ".2f", "g", "x", "5d", "-3s"])


@st.composite
def sentences(draw: st.DrawFn) -> Sentence:
    """Templates with some of their places filled, by whatever value."""
    values = draw(st.dictionaries(NAMES, ANYTHING, max_size=4))
    places = draw(st.lists(st.tuples(st.sampled_from(sorted(values) or ["x"]), CONVERSIONS), max_size=4))
    text = draw(st.text("abc .。", max_size=10))
    return Sentence.of(text + "".join(f"%({name}){how} " for name, how in places), **values)


@patiently
@given(sentences())
def test_a_sentence_survives_json_and_says_the_same(sentence: Sentence) -> None:
    stored = json.dumps(sentence.to_json(), allow_nan=False, ensure_ascii=False)
    stored.encode("utf-8")
    assert Sentence.from_json(json.loads(stored)) == sentence
    assert Sentence.from_json(json.loads(stored)).english() == sentence.english()


@patiently
@given(sentences(), st.sampled_from(sorted(FailureCode)))
def test_a_failure_survives_json(sentence: Sentence, code: FailureCode) -> None:
    failure = Failure(code, sentence)
    assert Failure.from_json(json.loads(json.dumps(failure.to_json()))) == failure


@patiently
@given(sentences())
def test_a_sentence_that_was_made_can_be_said(sentence: Sentence) -> None:
    assert isinstance(sentence.said(lambda template: template + " %(missing)s"), str)
    assert "%(" not in sentence.english() or not sentence.values


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (Path("/models/a"), "/models/a"),
        (np.int64(7), 7),
        (np.float32(0.5), 0.5),
        (np.bool_(True), "True"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (Fraction(1, 2), 0.5),
        (2**70, hex(2**70)),
        (FailureCode.KILLED, "killed"),
        ([1, "b"], "1, b"),
        ("half \ud83d", "half \\ud83d"),
        ("nul \0", "nul "),
        (True, True),
        (None, None),
    ],
)
def test_a_value_is_text_number_truth_or_null(value: object, kept: object) -> None:
    found = Sentence.of("%(value)s", value=value).values["value"]
    assert (found, type(found)) == (kept, type(kept))


def test_a_value_that_cannot_be_printed_is_named_by_its_kind() -> None:
    class Mute:
        def __str__(self) -> str:
            raise RuntimeError

    assert Sentence.of("%(what)s", what=Mute()).english() == "Mute"


def test_a_place_for_a_number_takes_text_rather_than_failing() -> None:
    assert Sentence.of("Turn %(turn)d is %(share).1f %% long", turn="three", share="much").english() == (
        "Turn three is much % long"
    )
    assert Sentence.of("Turn %(turn)d", other=1).english() == "Turn %(turn)d"


def test_a_sentence_without_values_keeps_its_percent_signs() -> None:
    assert Sentence("100 % sure").english() == "100 % sure"


@pytest.mark.parametrize(
    "document",
    [
        {"sentence": {"template": "Turn %(turn)d.", "values": {"turn": 2}}},
        {"message": "Turn %(turn)d.", "params": {"turn": 2}},
        {"detail": "Turn %(turn)d.", "params": {"turn": 2}},
        {"detail": "Turn 2.", "message": "Turn %(turn)d.", "params": {"turn": 2}},
        {"message": "Turn 2.", "template": "Turn %(turn)d.", "params": {"turn": 2}},
        {"detail": "Turn 2."},
    ],
)
def test_older_documents_are_read_as_well(document: dict[str, Any]) -> None:
    assert Sentence.stored_in(document).english() == "Turn 2."


@pytest.mark.parametrize("document", [{}, {"template": 1, "values": {}}, {"template": "a", "values": []}])
def test_what_is_no_sentence_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not a sentence"):
        Sentence.from_json(document)
    with pytest.raises(ValueError, match="not a"):
        Failure.from_json(document)


def test_every_expected_failure_has_a_sentence_and_a_code() -> None:
    unreadable = TokenizerUnusable("The tokenizer in %(folder)s cannot be read.", folder=Path("/m"))
    invalid = Invalid(unreadable.sentence, field="model")
    assert isinstance(invalid, SentenceError)
    assert (invalid.sentence, invalid.field) == (unreadable.sentence, "model")
    assert (unreadable.code, Conflict("x").code) == ("tokenizer_unreadable", "conflict")
    assert str(unreadable) == "The tokenizer in /m cannot be read."


def test_a_sentence_is_said_in_the_readers_language() -> None:
    sentence = Sentence.of("There is no dataset %(id)d.", id=7)
    with use_locale("zh-CN"):
        assert "7" in say(sentence)
        assert say(sentence) != sentence.english()


@pytest.mark.parametrize(
    ("template", "values", "said"),
    [
        ("%(trained)d of %(count)d tokens", {"trained": 921600, "count": 999}, "921,600 of 999 tokens"),
        ("%(gap)d", {"gap": -25757}, "-25,757"),
        (
            "Run %(id)d, port %(port)d, line %(line)d",
            {"id": 1234, "port": 8000, "line": 4321},
            "Run 1234, port 8000, line 4321",
        ),
        ("%(loss).3f after %(step)d", {"loss": 1500.5, "step": 12000}, "1500.500 after 12,000"),
        ("%(size)d is %(size)x", {"size": 4096}, "4,096 is 4,096"),
        ("%(there)d", {"there": True}, "1"),
        ("%(done)s of %(all)s", {"done": "12000", "all": 120000}, "12000 of 120,000"),
        (
            "seed %(seed)s of conversation %(conversation)s",
            {"seed": 4242, "conversation": 1234},
            "seed 4242 of conversation 1234",
        ),
    ],
)
def test_amounts_are_written_in_groups_of_digits_and_what_names_something_is_not(
    template: str, values: dict[str, Any], said: str
) -> None:
    assert Sentence.of(template, **values).english() == said
