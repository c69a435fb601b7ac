"""The labels that training would see are the same before an export and after it is imported again."""

from typing import Any

import pytest

from app.interchange import Source, SourceMask, read_dataset_info
from app.interchange.exports.exporting import Export, ExportFormat, FlagChoice, export_conversations
from app.masking import IGNORE_INDEX, ChatTokenizer, MaskSettings, mask_conversation
from tests.interchange.collecting import collector
from tests.interchange.reading_aloud import read_all
from tests.support.tokenizers import smollm2, smollm2_folder

__all__ = ["smollm2", "smollm2_folder"]


def says(role: str, text: str, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": text, **more}


CONVERSATIONS = [
    {"messages": [says("user", "多少钱？"), says("assistant", "您打算怎么用？")]},
    {
        "messages": [
            says("system", "Be brief."),
            says("user", "Too expensive."),
            says("assistant", "Compared with what?", train=False),
            says("user", "Theirs."),
            says("assistant", "What does theirs include?"),
        ]
    },
]
MIXED = {
    "messages": [
        says("user", "a"),
        says("assistant", "b", train=True),
        says("user", "c"),
        says("assistant", "d", train=False),
    ]
}
TRAINED_QUESTION = {"messages": [says("user", "a", train=True), says("assistant", "b", train=False)]}
Trained = list[tuple[list[int], list[int]]]


def trained(tokenizer: ChatTokenizer, conversations: list[dict[str, Any]]) -> Trained:
    """For every trained stretch of tokens: what stands before it, and itself. So one sample for each turn can
    be compared with whole conversations."""
    found: Trained = []
    for conversation in conversations:
        (sample,) = mask_conversation(tokenizer, conversation, MaskSettings()).samples
        ids, labels = sample.input_ids.tolist(), sample.labels.tolist()
        starts = [
            place
            for place, label in enumerate(labels)
            if label != IGNORE_INDEX and (place == 0 or labels[place - 1] == IGNORE_INDEX)
        ]
        for start in starts:
            end = next((p for p in range(start, len(labels)) if labels[p] == IGNORE_INDEX), len(labels))
            found.append((ids[:start], labels[start:end]))
    return sorted(found)


def there_and_back(
    conversations: list[dict[str, Any]], format: ExportFormat, flags: FlagChoice, mask: SourceMask
) -> list[dict[str, Any]]:
    files, create = collector()
    frozen = [{"id": place, "split": "train", **value} for place, value in enumerate(conversations, 1)]
    export_conversations(lambda: frozen, Export(format, "v1", flags=flags), create)
    columns = None
    if "dataset_info.json" in files:
        columns = read_dataset_info(files["dataset_info.json"], filename="train.jsonl")
    data = next(content for name, content in files.items() if name.endswith((".jsonl", ".csv")))
    return read_all(data, source=Source(columns, mask))


@pytest.mark.parametrize(
    ("conversations", "format", "flags", "mask"),
    [
        ([*CONVERSATIONS, MIXED, TRAINED_QUESTION], "messages", "refuse", "file"),
        ([*CONVERSATIONS, MIXED, TRAINED_QUESTION], "sharegpt", "refuse", "file"),
        ([*CONVERSATIONS, MIXED, TRAINED_QUESTION], "csv", "refuse", "file"),
        ([*CONVERSATIONS, MIXED, TRAINED_QUESTION], "axolotl", "refuse", "file"),
        ([*CONVERSATIONS, MIXED], "openai", "refuse", "file"),
        (CONVERSATIONS, "llamafactory", "refuse", "last_assistant"),
        (CONVERSATIONS, "trl", "refuse", "file"),
        ([*CONVERSATIONS, MIXED], "llamafactory", "split", "last_assistant"),
        ([*CONVERSATIONS, MIXED], "trl", "split", "file"),
        ([*CONVERSATIONS, MIXED], "alpaca", "split", "last_assistant"),
    ],
)
def test_labels_are_the_same_before_and_after(
    smollm2: ChatTokenizer,
    conversations: list[dict[str, Any]],
    format: ExportFormat,
    flags: FlagChoice,
    mask: SourceMask,
) -> None:
    before = trained(smollm2, conversations)
    assert before
    assert trained(smollm2, there_and_back(conversations, format, flags, mask)) == before
