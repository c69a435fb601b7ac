"""The rules that the Chinese sample files keep: a dialogue that breaks the style teaches the opposite.

The tests read the files as they are shipped and need neither the application nor a model. What only a reader
can judge (does it sound like a real conversation?) is not tested here.
"""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

SAMPLES = Path(__file__).parents[2] / "app" / "samples"

OUTCOME_SHARES = {"won": (0.40, 0.50), "lost": (0.20, 0.30), "open": (0.25, 0.35)}
STAGES = {"discovery", "demo", "proposal", "negotiation", "closing", "after_sales"}
OBJECTIONS = {"price", "competitor", "timing", "trust", "authority", "need", "none"}
CONVERSATION_KEYS = {"messages", "outcome", "stage", "objection", "product", "tags", "language", "source"}

PROMISES = re.compile(r"保证|百分之百|100\s*%|绝对|稳赚|最好|零风险|最低价|全网最|包过")
DISPARAGING = re.compile(r"骗子|垃圾|忽悠|坑人|劣质|山寨|不靠谱|不如我们|比我们差|偷工减料")
PRICE = re.compile(r"\d[\d.,]*\s*万?(?:元|块)")
WHAT_IT_INCLUDES = re.compile(r"含|包括")
HALF_WIDTH = re.compile(r"[,?!;]|(?<!\d)\.|[一-鿿]:")
SENTENCE = re.compile(r"[^。！？]+[。！？]?")
LONGEST_QUESTION = 36

Message = dict[str, Any]
Conversation = dict[str, Any]


def read_lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SAMPLES / name).read_text(encoding="utf-8").splitlines()]


CONVERSATIONS: list[Conversation] = read_lines("sales.zh.jsonl")

every_conversation = pytest.mark.parametrize(
    "conversation", CONVERSATIONS, ids=[f"line-{number}" for number, _ in enumerate(CONVERSATIONS, 1)]
)


def is_json_answer(message: Message) -> bool:
    return message["role"] == "assistant" and message["content"].startswith("{")


def dialogue(conversation: Conversation) -> list[Message]:
    """The messages after the optional system message."""
    messages: list[Message] = conversation["messages"]
    return messages[1:] if messages[0]["role"] == "system" else messages


def styled_turns(conversation: Conversation) -> list[Message]:
    """What the seller's style is learnt from: trained assistant turns that are prose."""
    turns = [message for message in conversation["messages"] if message["role"] == "assistant"]
    return [turn for turn in turns if turn.get("train", True) and not is_json_answer(turn)]


def sentences(text: str) -> list[str]:
    return SENTENCE.findall(text)


@every_conversation
def test_a_conversation_has_the_agreed_fields(conversation: Conversation) -> None:
    assert set(conversation) == CONVERSATION_KEYS
    assert conversation["outcome"] in OUTCOME_SHARES
    assert conversation["stage"] in STAGES
    assert conversation["objection"] in OBJECTIONS
    assert conversation["language"] == "zh"
    assert conversation["source"] == "sample"
    assert conversation["product"].strip()
    assert conversation["tags"]
    assert len(set(conversation["tags"])) == len(conversation["tags"])


@every_conversation
def test_roles_alternate_and_the_seller_has_the_last_word(conversation: Conversation) -> None:
    assert 4 <= len(conversation["messages"]) <= 9
    roles = [message["role"] for message in dialogue(conversation)]
    assert roles == ["user", "assistant"] * (len(roles) // 2)


@every_conversation
def test_messages_are_short_and_typed_like_chinese(conversation: Conversation) -> None:
    for message in conversation["messages"]:
        content = message["content"]
        assert content == content.strip()
        assert set(message) <= {"role", "content", "train"}
        if is_json_answer(message):
            continue
        assert not HALF_WIDTH.search(content), content
        shortest, longest = {"system": (8, 60), "user": (8, 50), "assistant": (30, 90)}[message["role"]]
        assert shortest <= len(content) <= longest, content


@every_conversation
def test_the_seller_promises_nothing_and_disparages_nobody(conversation: Conversation) -> None:
    for message in conversation["messages"]:
        if message["role"] == "assistant":
            assert not PROMISES.search(message["content"]), message["content"]
            assert not DISPARAGING.search(message["content"]), message["content"]


@every_conversation
def test_a_seller_turn_says_something_and_ends_with_one_short_question(
    conversation: Conversation,
) -> None:
    farewell = conversation["messages"][-1] if conversation["outcome"] == "lost" else None
    for turn in styled_turns(conversation):
        if turn is farewell:
            continue
        *statements, question = sentences(turn["content"])
        assert statements, "a turn that only asks takes nothing up"
        assert turn["content"].count("？") == 1, turn["content"]
        assert question.endswith("？"), turn["content"]
        assert len(question) <= LONGEST_QUESTION, question


@every_conversation
def test_a_price_comes_after_a_question_and_says_what_it_includes(conversation: Conversation) -> None:
    first, *_ = [message for message in conversation["messages"] if message["role"] == "assistant"]
    assert not PRICE.search(first["content"]), first["content"]
    for turn in styled_turns(conversation):
        if PRICE.search(turn["content"]):
            assert WHAT_IT_INCLUDES.search(turn["content"]), turn["content"]


@every_conversation
def test_a_lost_deal_ends_without_pushing(conversation: Conversation) -> None:
    if conversation["outcome"] == "lost":
        assert "？" not in conversation["messages"][-1]["content"]


def test_a_weak_turn_is_context_and_the_next_one_is_trained() -> None:
    weak = 0
    for conversation in CONVERSATIONS:
        messages = conversation["messages"]
        for number, message in enumerate(messages):
            if "train" not in message:
                continue
            weak += 1
            assert message["train"] is False
            assert message["role"] == "assistant"
            assert number < len(messages) - 1, "the last answer is the one to learn"
    assert 4 <= weak <= 5


def test_json_answers_are_compact_and_asked_for() -> None:
    found = 0
    for conversation in CONVERSATIONS:
        *earlier, last = conversation["messages"]
        assert not any(is_json_answer(message) for message in earlier)
        if not is_json_answer(last):
            continue
        found += 1
        value = json.loads(last["content"])
        assert last["content"] == json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        assert "JSON" in earlier[-1]["content"]
    assert 3 <= found <= 5


def test_there_are_enough_dialogues_of_every_kind() -> None:
    total = len(CONVERSATIONS)
    assert total >= 66
    outcomes = Counter(conversation["outcome"] for conversation in CONVERSATIONS)
    for outcome, (least, most) in OUTCOME_SHARES.items():
        assert least <= outcomes[outcome] / total <= most, outcome
    for field, names in (("stage", STAGES), ("objection", OBJECTIONS)):
        counts = Counter(conversation[field] for conversation in CONVERSATIONS)
        assert all(counts[name] >= 5 for name in names), counts
    with_system = sum(conversation["messages"][0]["role"] == "system" for conversation in CONVERSATIONS)
    assert 0.25 <= with_system / total <= 0.42
    assert len({conversation["product"] for conversation in CONVERSATIONS}) >= 60


def test_nothing_is_said_twice() -> None:
    spoken = Counter(
        message["content"] for conversation in CONVERSATIONS for message in conversation["messages"]
    )
    assert [text for text, count in spoken.items() if count > 1] == []


def test_answers_do_not_share_one_opening() -> None:
    openings = Counter(
        turn["content"][:4] for conversation in CONVERSATIONS for turn in styled_turns(conversation)
    )
    assert openings.most_common(1)[0][1] <= 5, openings.most_common(5)
