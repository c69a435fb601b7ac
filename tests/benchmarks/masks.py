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
    "bare": "bare encode_batch: ids alone, tokenizer threads on",
    "bare_single": "bare encode_batch: ids alone, tokenizer threads off",
}


def measure(model: Path, say: Callable[[str], None]) -> Result:
    """Conversations a second of each way; the bare encoding with the tokenizer library's own threads and without."""
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

    def bare(threads: str) -> None:
        with _parallelism(threads):
            ours.encoder.tokenizer.encode_batch(texts, add_special_tokens=False)

    say("masks: each way in turn")
    found = alternate(
        {
            "masking": lambda: deque(mask_conversations(ours, numbered, settings), maxlen=0),
            "trl": trl,
            "trusted": lambda: deque(mask_conversations(trusting, numbered, settings), maxlen=0),
            "bare": lambda: bare("true"),
            "verify": lambda: verify(ours, numbered, settings),
            "bare_single": lambda: bare("false"),
        },
        ROUNDS,
    )
    return _result(found, tokens)


def _result(found: dict[str, list[float]], tokens: int) -> Result:
    speed = {name: COUNT / median(seconds) for name, seconds in found.items()}
    over = {
        way: {peer: ratio(found[way], found[peer]) for peer in ("trl", "bare", "bare_single")}
        for way in ("masking", "trusted")
    }
    return Result(
        name="masks",
        columns=("", "per second", "× TRL"),
        rows=[
            Row(name, (f"{speed[key]:.0f}", f"{ratio(found[key], found['trl']):.2f}"))
            for key, name in NAMES.items()
        ],
        compared=(
            f"{COUNT} sales dialogues, {tokens / COUNT:.0f} tokens each on average, {ROUNDS} rounds in alternation; what a "
            "way makes is let go at once, as the check of a version does. One process each way; ours renders the template "
            "in a process beside it, as every check does, and a row shows it without. Ours encodes in threads of its "
            "own, with the tokenizer library's off (TOKENIZERS_PARALLELISM). TRL's way can use neither, because it encodes "
            "one conversation at a time."
        ),
        goals=[
            goal
            for way, said in (("masking", "masks"), ("trusted", "masks in one process"))
            for goal in (
                Goal(f"{said}, times TRL's speed", over[way]["trl"], 2.2, unit="×"),
                Goal(
                    f"{said}, share of encode_batch with its threads on",
                    100 * over[way]["bare"],
                    80,
                    unit=" %",
                ),
            )
        ],
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
