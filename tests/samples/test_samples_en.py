"""The rules that the English sample files keep, because a short LoRA run on them has to show.

The samples teach one seller's style; a dialogue that breaks it teaches the opposite. These tests read the
files as they are shipped and need neither the application nor a model.
"""

import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

SAMPLES = Path(__file__).parents[2] / "app" / "samples"

OUTCOME_SHARES = {"won": (0.40, 0.50), "lost": (0.20, 0.30), "open": (0.25, 0.35)}
STAGES = {"discovery", "demo", "proposal", "negotiation", "closing", "after_sales"}
OBJECTIONS = {"price", "competitor", "timing", "trust", "authority", "need", "none"}
CONVERSATION_KEYS = {"messages", "outcome", "stage", "objection", "product", "tags", "language", "source"}

PROMISES = re.compile(r"guarant|absolutely|100\s?%|risk[- ]free", re.IGNORECASE)
DISPARAGING = re.compile(
    r"rubbish|garbage|junk|inferior|terrible|overpriced|second[- ]rate|worse than|bad quality", re.IGNORECASE
)
MONEY = re.compile(r"[$€£]\s?\d|\d\s?(?:dollars|euros?|pounds|cents)\b", re.IGNORECASE)
WHAT_IT_INCLUDES = re.compile(r"\b(?:includ\w+|cover\w*)\b", re.IGNORECASE)
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")

Message = dict[str, Any]
Conversation = dict[str, Any]


def read_lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SAMPLES / name).read_text(encoding="utf-8").splitlines()]


def is_json_answer(message: Message) -> bool:
    return message["role"] == "assistant" and message["content"].startswith(("{", "["))


def assistant_turns(conversation: Conversation) -> list[Message]:
    return [message for message in conversation["messages"] if message["role"] == "assistant"]


def styled_turns(conversation: Conversation) -> list[str]:
    """What the seller's style is learnt from: trained assistant turns that are prose."""
    return [
        turn["content"]
        for turn in assistant_turns(conversation)
        if turn.get("train", True) and not is_json_answer(turn)
    ]


def words(text: str) -> int:
    return len(text.split())


CONVERSATIONS = read_lines("sales.en.jsonl")

each_conversation = pytest.mark.parametrize(
    "conversation", CONVERSATIONS, ids=[c["product"].replace(" ", "-") for c in CONVERSATIONS]
)


@each_conversation
def test_a_conversation_has_the_documented_fields(conversation: Conversation) -> None:
    assert set(conversation) == CONVERSATION_KEYS
    assert conversation["outcome"] in OUTCOME_SHARES
    assert conversation["stage"] in STAGES
    assert conversation["objection"] in OBJECTIONS
    assert conversation["language"] == "en"
    assert conversation["source"] == "sample"
    assert conversation["product"].strip()
    assert conversation["tags"]
    assert len(set(conversation["tags"])) == len(conversation["tags"])


@each_conversation
def test_roles_alternate_after_an_optional_system_message(conversation: Conversation) -> None:
    messages = conversation["messages"]
    assert 4 <= len(messages) <= 9
    roles = [message["role"] for message in messages]
    if roles[0] == "system":
        roles = roles[1:]
    assert roles == ["user", "assistant"] * (len(roles) // 2)
    assert all(set(message) <= {"role", "content", "train"} for message in messages)
    assert all(message["content"] == message["content"].strip() != "" for message in messages)


@each_conversation
def test_the_turns_have_the_length_of_a_chat(conversation: Conversation) -> None:
    for message in conversation["messages"]:
        if message["role"] == "user":
            assert 6 <= words(message["content"]) <= 40, message["content"]
        elif message["role"] == "assistant" and not is_json_answer(message):
            assert 20 <= words(message["content"]) <= 60, message["content"]


@each_conversation
def test_a_seller_turn_acknowledges_first_and_ends_with_its_only_question(conversation: Conversation) -> None:
    for text in styled_turns(conversation):
        sentences = SENTENCE_END.split(text)
        assert len(sentences) >= 2, text
        assert text.count("?") == 1, text
        assert text.endswith("?"), text
        assert words(sentences[-1]) <= 16, text


@each_conversation
def test_the_seller_promises_nothing_and_disparages_nobody(conversation: Conversation) -> None:
    for turn in assistant_turns(conversation):
        assert not PROMISES.search(turn["content"]), turn["content"]
        assert not DISPARAGING.search(turn["content"]), turn["content"]


@each_conversation
def test_needs_come_before_a_price_and_a_price_says_what_it_includes(conversation: Conversation) -> None:
    turns = styled_turns(conversation)
    assert not MONEY.search(turns[0]), turns[0]
    for text in turns:
        assert not MONEY.search(text) or WHAT_IT_INCLUDES.search(text), text


@each_conversation
def test_the_last_turn_is_one_that_is_trained(conversation: Conversation) -> None:
    last = conversation["messages"][-1]
    assert last["role"] == "assistant"
    assert last.get("train", True) is True


def test_json_answers_are_compact_json_that_the_customer_asked_for() -> None:
    answers = 0
    for conversation in CONVERSATIONS:
        messages = conversation["messages"]
        for request, answer in pairwise(messages):
            if is_json_answer(answer):
                answers += 1
                value = json.loads(answer["content"])
                compact = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
                assert answer["content"] == compact
                assert "JSON" in request["content"]
                keys = [key for key in value if key not in request["content"]]
                assert keys == [], "a key that nobody asked for"
    assert 3 <= answers <= 5


def test_a_few_turns_are_flagged_as_context_only() -> None:
    flagged = [
        (conversation["product"], message["role"], message["train"])
        for conversation in CONVERSATIONS
        for message in conversation["messages"]
        if "train" in message
    ]
    assert 4 <= len(flagged) <= 5
    assert len({product for product, _, _ in flagged}) == len(flagged)
    assert {(role, train) for _, role, train in flagged} == {("assistant", False)}


def test_the_set_is_large_and_varied() -> None:
    total = len(CONVERSATIONS)
    assert total >= 66
    assert len({c["product"] for c in CONVERSATIONS}) == total
    outcomes = Counter(c["outcome"] for c in CONVERSATIONS)
    for outcome, (low, high) in OUTCOME_SHARES.items():
        assert low <= outcomes[outcome] / total <= high, outcomes
    for field, values in (("stage", STAGES), ("objection", OBJECTIONS)):
        counts = Counter(c[field] for c in CONVERSATIONS)
        assert min(counts[value] for value in values) >= total // 12, counts
    with_system = sum(c["messages"][0]["role"] == "system" for c in CONVERSATIONS)
    assert 0.25 <= with_system / total <= 0.42


def test_no_message_and_no_opening_is_repeated() -> None:
    messages = Counter(m["content"].casefold() for c in CONVERSATIONS for m in c["messages"])
    assert [text for text, count in messages.items() if count > 1] == []
    turns = [text for conversation in CONVERSATIONS for text in styled_turns(conversation)]
    openings = Counter(" ".join(text.split()[:3]) for text in turns)
    opening, count = openings.most_common(1)[0]
    assert count <= len(turns) * 0.05, f"{count} turns open with {opening!r}"
