"""Masks of a whole version: ours against TRL's way, a conversation at a time, and against the bare encoding.

The bare `encode_batch` makes ids alone, no labels and no proof: it is the limit that masking can come close to.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.masking import ChatTokenizer, MaskSettings, mask_conversations, verify
from tests.benchmarks.dialogues import many_dialogues, plain
from tests.benchmarks.measuring import Goal, Result, Row, alternate, median, ratio

COUNT, ROUNDS = 3000, 7
# What TRL needs to find the assistant's part: the bundled model's template with generation markers.
MARKED_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] + '<|im_end|>' }}{%"
    " endgeneration %}"
    "{% else %}{{ message['content'] + '<|im_end|>' }}{% endif %}{{ '\n' }}{% endfor %}"
)
NAMES = {
    "masking": "SFT Studio, masks",
    "trusted": "SFT Studio, masks, template in the same process",
    "verify": "SFT Studio, masks and the proof of each",
    "trl": "TRL's way: apply_chat_template with assistant mask",
    "bare": "bare encode_batch: ids alone",
}


def measure(model: Path, say: Callable[[str], None]) -> Result:
    """Conversations a second of each way, with the tokenizer's own threads and without them."""
    from transformers import AutoTokenizer

    data = [{"messages": plain(one["messages"])} for one in many_dialogues(COUNT)]
    ours, trusting = ChatTokenizer.from_folder(model), ChatTokenizer.from_folder(model, trusted=True)
    theirs = AutoTokenizer.from_pretrained(model)
    texts = [ours.render(one["messages"]) for one in data]
    numbered, settings = list(enumerate(data)), MaskSettings()
    tokens = sum(len(encoding.ids) for encoding in ours.encoder.encode_many(texts))

    def trl() -> None:
        for one in data:
            theirs.apply_chat_template(
                one["messages"],
                chat_template=MARKED_TEMPLATE,
                return_dict=True,
                return_assistant_tokens_mask=True,
            )

    ways: dict[str, Callable[[], object]] = {
        "masking": lambda: deque(mask_conversations(ours, numbered, settings), maxlen=0),
        "trl": trl,
        "trusted": lambda: deque(mask_conversations(trusting, numbered, settings), maxlen=0),
        "bare": lambda: ours.encoder.tokenizer.encode_batch(texts, add_special_tokens=False),
        "verify": lambda: verify(ours, numbered, settings),
    }
    found: dict[str, dict[str, list[float]]] = {}
    for threads in ("true", "false"):
        say(f"masks: TOKENIZERS_PARALLELISM={threads}")
        with _parallelism(threads):
            found[threads] = alternate(ways, ROUNDS)
    return _result(found, tokens)


def _result(found: dict[str, dict[str, list[float]]], tokens: int) -> Result:
    speed = {
        threads: {name: COUNT / median(seconds) for name, seconds in ways.items()}
        for threads, ways in found.items()
    }
    over = {
        threads: {name: ratio(ways["masking"], ways[name]) for name in ("trl", "bare")}
        for threads, ways in found.items()
    }
    goals = []
    for threads, said in (("true", "on"), ("false", "off")):
        goals.append(
            Goal(f"masks, times TRL's speed (tokenizer threads {said})", over[threads]["trl"], 2.2, unit="×")
        )
        goals.append(
            Goal(
                f"masks, share of encode_batch (tokenizer threads {said})",
                100 * over[threads]["bare"],
                80,
                unit=" %",
            )
        )
    return Result(
        name="masks",
        columns=("", "per second, threads on", "× TRL", "per second, threads off", "× TRL"),
        rows=[
            Row(
                NAMES[name],
                tuple(
                    figure
                    for threads in ("true", "false")
                    for figure in (
                        f"{speed[threads][name]:.0f}",
                        f"{ratio(found[threads][name], found[threads]['trl']):.2f}",
                    )
                ),
            )
            for name in NAMES
        ],
        compared=(
            f"{COUNT} sales dialogues, {tokens / COUNT:.0f} tokens each on average, one process each way, {ROUNDS} rounds in "
            "alternation; what a way makes is let go at once, as the check of a version does. “Threads” are the tokenizer "
            "library's own (TOKENIZERS_PARALLELISM); TRL's way cannot use them, because it encodes one conversation at a time."
        ),
        goals=goals,
        raw={"conversations_per_second": speed, "times": over},
        packages=("tokenizers", "transformers", "trl"),
    )


@contextmanager
def _parallelism(value: str) -> Iterator[None]:
    """The tokenizer library reads the variable at every call."""
    before = os.environ.get("TOKENIZERS_PARALLELISM")
    os.environ["TOKENIZERS_PARALLELISM"] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ["TOKENIZERS_PARALLELISM"]
        else:
            os.environ["TOKENIZERS_PARALLELISM"] = before
