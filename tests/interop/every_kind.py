"""Masks of every kind: the templates that TRL ships × tools, reasoning, flags of turns × how conversations become samples.

They are what a trainer's own reading of text gets wrong, so trainers must be seen to take them as they are.
"""

import importlib.util
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from app.masking import (
    ArraysBuilder,
    ChatTokenizer,
    Handling,
    MaskArrays,
    MaskingError,
    MaskSettings,
    TrainOn,
    mask_conversation,
)

TOOL = {
    "type": "function",
    "function": {
        "name": "price",
        "description": "A plan's price",
        "parameters": {"type": "object", "properties": {"plan": {"type": "string"}}},
    },
}
TURNS: list[dict[str, Any]] = [
    {"role": "user", "content": "Hi there 你好"},
    {"role": "assistant", "content": "Hello! 您好,有什么可以帮您?"},
    {"role": "user", "content": "Price?"},
    {"role": "assistant", "content": "Ten a month."},
]
CALL = [
    {"role": "user", "content": "What does the small plan cost?"},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {
                "id": "call00001",
                "type": "function",
                "function": {"name": "price", "arguments": {"plan": "small"}},
            }
        ],
    },
    {"role": "tool", "content": '{"euro": 10}', "tool_call_id": "call00001", "name": "price"},
    {"role": "assistant", "content": "Ten euro a month."},
]


def _with(place: int, **more: Any) -> list[dict[str, Any]]:
    return [{**turn, **more} if at == place else turn for at, turn in enumerate(TURNS)]


KINDS: dict[str, dict[str, Any]] = {
    "plain": {"messages": TURNS},
    "an answer that is context": {"messages": _with(1, train=False)},
    "a question that is trained": {"messages": _with(2, train=True)},
    "reasoning": {"messages": _with(3, reasoning_content="They ask for the price.")},
    "a tool": {"messages": CALL, "tools": [TOOL]},
}
SETTINGS = (
    MaskSettings(),
    MaskSettings(handling=Handling.PER_TURN),
    MaskSettings(handling=Handling.SLIDING_WINDOW, max_length=60),
    MaskSettings(train_on=TrainOn.ALL),
    MaskSettings(train_on=TrainOn.LAST_ASSISTANT, max_length=40),
)


def templates() -> dict[str, str]:
    """By name, the chat templates in TRL's package."""
    found = importlib.util.find_spec("trl")
    assert found is not None
    assert found.submodule_search_locations
    folder = Path(found.submodule_search_locations[0]) / "chat_templates"
    return {path.stem: path.read_text("utf-8") for path in sorted(folder.glob("*.jinja"))}


def samples(tokenizer: ChatTokenizer, names: Collection[str]) -> Iterator[tuple[str, Any]]:
    """What each sample is, and the sample. What a template cannot hold has none."""
    for name, source in templates().items():
        if name not in names:
            continue
        templated = tokenizer.with_chat_template(source, name, trusted=True)
        for kind, conversation in KINDS.items():
            for number, settings in enumerate(SETTINGS):
                with suppress(MaskingError):
                    for sample in mask_conversation(templated, conversation, settings).samples:
                        yield f"{name} · {kind} · settings {number}", sample


def arrays_of_every_kind(
    tokenizer: ChatTokenizer, names: Collection[str] | None = None, held_out: int = 4
) -> MaskArrays:
    """Of these templates, or of all: each different sample once; the last ones are held out."""
    found = {}
    for _what, sample in samples(tokenizer, templates() if names is None else names):
        found[(sample.input_ids.tobytes(), sample.labels.tobytes())] = sample
    last = frozenset(range(len(found) - held_out, len(found)))
    builder = ArraysBuilder(MaskSettings(), "every kind", last)
    for number, sample in enumerate(found.values()):
        builder.add(number, sample.input_ids, sample.labels)
    return builder.finish()
