"""Who in a version deserves a look, why, and in which order."""

import json

from app.mask_checks.report import MaskReport
from app.masking import ChatTokenizer, MaskSettings, preview, verify
from app.masking.checking.suspects import MOST_LISTED
from app.sentences import Sentence
from tests.support.masks import ATTACK, chat

ORDINARY = [(number, chat("Price?", f"It is {number} a month, all in.")) for number in range(100, 119)]


def suspects_of(tokenizer: ChatTokenizer, conversations: list, settings: MaskSettings | None = None) -> list:
    report, _arrays = verify(tokenizer, conversations, settings or MaskSettings())
    found = MaskReport.of(report).to_json()["suspects"]
    assert json.loads(json.dumps(found)) == found
    return found


def test_each_reason_names_its_sample_and_token_and_the_worst_come_first(smollm2: ChatTokenizer) -> None:
    cut = (1, chat("tell me all", "word " * 100))
    attack = (2, chat(ATTACK, "No."))
    untrained = (3, chat("only a question"))
    found = suspects_of(
        smollm2, [cut, attack, (9, chat("Hi", "Hello")), untrained], MaskSettings(max_length=90)
    )
    assert [one["conversation_id"] for one in found] == [3, 1, 2]
    failed, lost, spelled = (one["reasons"][0] for one in found)
    assert (failed["kind"], failed["check"], failed["sample"]) == ("failed", "trains_something", 0)
    assert (lost["kind"], lost["sample"], lost["token"]) == ("cut", 0, 90)
    assert lost["sentence"]["values"]["tokens"] - lost["sentence"]["values"]["trained"] == 1
    assert lost["detail"] == Sentence.from_json(lost["sentence"]).english()
    assert (spelled["kind"], spelled["sentence"]["values"]["turn"]) == ("control_tokens", 1)
    [sample] = shown(smollm2, attack[1])
    assert sample["tokens"][spelled["token"]]["text"] == "<"
    assert sample["tokens"][spelled["token"]]["role"] == "user"


def shown(tokenizer: ChatTokenizer, conversation: dict) -> list:
    return preview(tokenizer, conversation, MaskSettings())


def test_the_ends_of_the_distributions_are_named_once_there_are_enough_samples(
    smollm2: ChatTokenizer,
) -> None:
    odd = [(1, chat("q " * 60, "No.")), (2, chat("Tell me", "A long answer. " * 40))]
    assert suspects_of(smollm2, [*ORDINARY[:17], *odd]) == []
    found = suspects_of(smollm2, [*ORDINARY, *odd])
    kinds = {one["conversation_id"]: [reason["kind"] for reason in one["reasons"]] for one in found}
    # the one with the longest answer is also the longest and has the largest share
    assert kinds[2] == ["share", "length"]
    assert "share" in kinds[1]
    details = [reason["detail"] for one in found for reason in one["reasons"]]
    assert any(detail.startswith("Among the smallest shares") for detail in details)
    assert any(detail.startswith("Among the longest samples") for detail in details)


def test_equal_samples_have_no_ends(smollm2: ChatTokenizer) -> None:
    assert suspects_of(smollm2, [(number, chat("Price?", "Ten.")) for number in range(40)]) == []


def test_all_are_counted_and_some_are_listed(smollm2: ChatTokenizer) -> None:
    many = [(number, chat("again", "word " * 60)) for number in range(MOST_LISTED + 5)]
    report, _arrays = verify(smollm2, many, MaskSettings(max_length=50))
    assert MaskReport.of(report).to_json()["suspect_counts"] == {"cut": MOST_LISTED + 5}
    assert len(MaskReport.of(report).to_json()["suspects"]) == MOST_LISTED
