"""Which turns are trained: by the strategy, and by the flags of turns."""

from contextlib import nullcontext
from typing import Any

import pytest

from app.masking import (
    ChatTokenizer,
    MaskSettings,
    TrainOn,
    mask_conversation,
    run_checks,
)
from app.masking.errors import MaskRefused
from app.masking.samples.conversation import Dialogue
from app.masking.samples.sample import Missing, Part
from app.masking.samples.selection import Selection
from app.masking.turns.layout import HeldField, Layout, LeftOut, Region, Turn
from tests.support.masks import chat, samples, trained_text


def test_strategies_choose_turns(smollm2: ChatTokenizer) -> None:
    conversation = chat("Q1", "A1", "Q2", "A2", system="S")

    def text(strategy: str) -> str:
        return trained_text(smollm2, samples(smollm2, conversation, train_on=strategy)[0])

    assert text("assistant") == "A1<|im_end|>A2<|im_end|>"
    assert text("last_assistant") == "A2<|im_end|>"
    assert text("content") == "SQ1A1<|im_end|>Q2A2<|im_end|>"
    assert text("all") == smollm2.render(conversation["messages"])


@pytest.mark.parametrize("strategy", list(TrainOn))
def test_a_flag_on_a_turn_wins_over_the_strategy(smollm2: ChatTokenizer, strategy: TrainOn) -> None:
    conversation = chat("Q1", "A1", "Q2", "A2")
    conversation["messages"][0]["train"] = True
    conversation["messages"][1]["train"] = True
    conversation["messages"][2]["train"] = False
    conversation["messages"][3]["train"] = False
    text = trained_text(smollm2, samples(smollm2, conversation, train_on=strategy)[0])
    assert "Q1" in text
    assert "A1<|im_end|>" in text
    assert "Q2" not in text
    assert "A2" not in text


def test_flags_are_never_shown_to_the_template(smollm2: ChatTokenizer) -> None:
    source = (
        "{% for m in messages %}{{ m | tojson }}<|im_end|>{% endfor %}"
        "{% if add_generation_prompt %}{{ '{' }}{% endif %}"
    )
    tokenizer = smollm2.with_chat_template(source, "json", trusted=True)
    conversation = chat("Q", "A", train=True)
    assert "train" not in mask_conversation(tokenizer, conversation, MaskSettings()).samples[0].text


def test_a_sample_without_a_trained_token_is_dropped_and_counted(smollm2: ChatTokenizer) -> None:
    masked = mask_conversation(smollm2, chat("only a question"), MaskSettings())
    assert masked.samples == []
    assert masked.dropped == 1
    failed = [check.name for check in run_checks(smollm2, masked.untrained[0]) if not check.passed]
    assert failed == ["trains_something"]


# -- from layouts made by hand -----------------------------------------------------------------------------

Pieces = list[str | tuple[int, str]]
# Template as plain text, messages by their place; "|" ends the reasoning of a turn.
DIALOGUE: Pieces = ["[", (0, "Q1"), "][", (1, "hm|A1."), "][", (2, "Q2"), "][", (3, "A2."), "]"]
ROLES = ("user", "assistant", "user", "assistant")
CALLING = {"tool_calls": [{"type": "function", "function": {"name": "price"}}]}


def laid_out(pieces: Pieces) -> Layout:
    layout = Layout("", [], [])
    for piece in pieces:
        if isinstance(piece, str):
            layout.text += piece
            continue
        place, words = piece
        reasoning, bar, answer = words.rpartition("|")
        start = len(layout.text)
        layout.text += reasoning + answer
        if ROLES[place] == "assistant":
            reasoning_end = start + len(reasoning) if bar else None
            layout.turns.append(
                Turn(place, start, len(layout.text), None, None, None, reasoning_end=reasoning_end)
            )
        else:
            layout.regions.append(Region(place, ROLES[place], start, len(layout.text)))
    return layout


def selected(
    settings: dict[str, Any],
    flags: dict[int, bool] | None = None,
    pieces: Pieces = DIALOGUE,
    part: Part | None = None,
    **held: dict[str, Any],
) -> Selection:
    """`flags` by number of the message, `held` what messages hold besides ("m1": of the second)."""
    messages = [
        {"role": role, "content": "", **held.get(f"m{number}", {})} for number, role in enumerate(ROLES)
    ]
    dialogue = Dialogue(messages, [(flags or {}).get(number) for number in range(4)], None)
    whole = Part((0, 1, 2, 3), frozenset(range(4)))
    return Selection(dialogue, part or whole, laid_out(pieces), MaskSettings(**settings))


def spans_of(selection: Selection) -> list[tuple[int, str]]:
    return [(message, selection.layout.text[start:end]) for start, end, message in selection.trained_spans()]


# what is chosen -> settings, flags, each trained range with its message (-1: the template)
CHOICES: dict[str, tuple[dict[str, Any], dict[int, bool], list[tuple[int, str]]]] = {
    "all assistant turns": ({}, {}, [(1, "hmA1."), (3, "A2.")]),
    "the last one": ({"train_on": "last_assistant"}, {}, [(3, "A2.")]),
    "what everybody says": (
        {"train_on": "content"},
        {},
        [(0, "Q1"), (1, "hmA1."), (2, "Q2"), (3, "A2.")],
    ),
    "everything, the template too": (
        {"train_on": "all"},
        {},
        [(-1, "["), (0, "Q1"), (-1, "]["), (1, "hmA1."), (-1, "]["), (2, "Q2"), (-1, "]["), (3, "A2."), (-1, "]")],
    ),
    "everything but the turns with a flag against it, which are no template": (
        {"train_on": "all"},
        {0: False, 3: False},
        [(-1, "["), (-1, "]["), (1, "hmA1."), (-1, "]["), (2, "Q2"), (-1, "]["), (-1, "]")],
    ),
    "everything but the thinking, which is no template": (
        {"train_on": "all", "train_reasoning": False},
        {},
        [(-1, "["), (0, "Q1"), (-1, "]["), (1, "A1."), (-1, "]["), (2, "Q2"), (-1, "]["), (3, "A2."), (-1, "]")],
    ),
    "answers without thinking": ({"train_reasoning": False}, {}, [(1, "A1."), (3, "A2.")]),
    "a person's turn with a flag for it": ({}, {2: True}, [(1, "hmA1."), (2, "Q2"), (3, "A2.")]),
    "not the answer with a flag against it": ({}, {1: False}, [(3, "A2.")]),
    "an earlier answer with a flag for it": (
        {"train_on": "last_assistant"},
        {1: True},
        [(1, "hmA1."), (3, "A2.")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHOICES)
def test_what_is_chosen_is_trained_from_its_beginning_to_its_end(name: str) -> None:
    settings, flags, expected = CHOICES[name]
    assert spans_of(selected(settings, flags)) == expected


def test_a_sample_of_some_messages_chooses_by_their_numbers_and_only_the_eligible() -> None:
    part = Part((2, 3), frozenset({3}))
    pieces: Pieces = [(0, "Q2"), (1, "A2.")]
    assert spans_of(selected({"train_on": "content"}, {2: True}, pieces, part)) == [(1, "A2.")]
    assert spans_of(selected({}, {3: False}, pieces, part)) == []
    assert spans_of(selected({"train_on": "last_assistant"}, {}, pieces, part)) == [(1, "A2.")]


def test_an_answer_that_writes_nothing_is_chosen_all_the_same_and_a_person_who_says_nothing_is_not() -> None:
    pieces: Pieces = ["[", (0, ""), "][", (1, ""), "]"]
    assert spans_of(selected({"train_on": "content"}, {}, pieces)) == [(1, "")]


def test_thinking_that_ends_before_the_turn_begins_takes_nothing_of_it() -> None:
    selection = selected({"train_reasoning": False}, {}, ["hm", (1, "A1.")])
    selection.layout.turns[0].reasoning_end = 0
    assert spans_of(selection) == [(1, "A1.")]


@pytest.mark.parametrize(
    ("settings", "flags", "refuses"),
    [
        ({}, {}, True),
        ({}, {1: False}, False),
        ({"train_on": "last_assistant"}, {}, False),
        ({"train_on": "all"}, {1: False}, True),
    ],
)
def test_a_turn_without_provable_borders_is_refused_where_it_would_be_trained(
    settings: dict[str, Any], flags: dict[int, bool], refuses: bool
) -> None:
    selection = selected(settings, flags)
    selection.layout.refused[1] = MaskRefused("no border")
    with pytest.raises(MaskRefused, match="no border") if refuses else nullcontext():
        selection.require_provable("t")


THOUGHT = {"reasoning_content": " hm "}
SPELLED = {"content": "<think>hm</think>A1."}


@pytest.mark.parametrize(
    ("held", "words", "settings", "flags", "refuses"),
    [
        (THOUGHT, "hmA1.", {}, {}, True),
        (SPELLED, "<think>hm</think>A1.", {}, {}, True),
        (THOUGHT, "hm|A1.", {}, {}, False),
        (THOUGHT, "A1.", {}, {}, False),
        (THOUGHT, "hmA1.", {"train_reasoning": True}, {}, False),
        (THOUGHT, "hmA1.", {}, {1: False}, False),
        (SPELLED, "A1.", {}, {}, False),
        ({"content": "A1."}, "<think></think>A1.", {}, {}, False),
        ({"content": None}, "<think></think>A1.", {}, {}, False),
        ({**THOUGHT, **SPELLED}, "</think>A1.", {}, {}, False),
    ],
)
def test_thinking_whose_end_is_unknown_is_refused_where_it_would_be_left_out(
    held: dict[str, Any], words: str, settings: dict[str, Any], flags: dict[int, bool], refuses: bool
) -> None:
    pieces: Pieces = ["[", (0, "Q1"), "][", (1, words), "]"]
    selection = selected({"train_reasoning": False, **settings}, flags, pieces, m1=held)
    expected = pytest.raises(MaskRefused, match="thinking of turn 2 ends under the chat template odd")
    with expected if refuses else nullcontext():
        selection.require_provable("odd")


@pytest.mark.parametrize(
    ("what", "settings", "flags", "trained", "by_choice"),
    [
        (LeftOut(1, HeldField.WORDS, "w"), {}, {}, True, False),
        (LeftOut(1, HeldField.WORDS, "w"), {}, {1: False}, False, False),
        (LeftOut(1, HeldField.WORDS, "w"), {"train_reasoning": False}, {}, True, False),
        (LeftOut(1, HeldField.WORDS, "w", by_arguments=True), {}, {}, True, True),
        (LeftOut(1, HeldField.REASONING, "r"), {}, {}, True, False),
        (LeftOut(1, HeldField.REASONING, "r"), {"train_reasoning": False}, {}, True, True),
        # The tools are of the turns that call one.
        (LeftOut(None, HeldField.TOOL, "t"), {}, {}, True, False),
        (LeftOut(None, HeldField.TOOL, "t"), {}, {3: False}, False, False),
    ],
)
def test_what_the_rendering_leaves_out_matters_where_it_is_trained_and_was_not_asked_for(
    what: LeftOut, settings: dict[str, Any], flags: dict[int, bool], trained: bool, by_choice: bool
) -> None:
    selection = selected(settings, flags, m3=CALLING)
    selection.layout.left_out = [what]
    assert selection.missing() == [Missing(what, trained=trained, by_choice=by_choice)]
