"""Speed of masking, side by side on the same conversations: ours, TRL's way, a bare batch encoding, the
version check.

Run with `python -m tests.masking.speed [--model FOLDER] [--conversations N]`; prints one JSON object. Every
figure is the
best of several interleaved rounds in one process, in conversations a second.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.masking import ChatTokenizer, MaskSettings, mask_conversations, verify

WORDS = """
the price of your product is too high for us can you give a discount or explain the value compared with other
vendors we need training support onboarding quickly budget manager decision next quarter demo call schedule
contract annual monthly seats licence security review procurement
""".split()  # noqa: SIM905  (a list of words reads best as words)

# what TRL needs to find the assistant's part: the bundled template with generation markers
MARKED_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] + '<|im_end|>' }}{%"
    " endgeneration %}"
    "{% else %}{{ message['content'] + '<|im_end|>' }}{% endif %}{{ '\n' }}{% endfor %}"
)


def conversations(count: int) -> list[dict[str, Any]]:
    """About 320 tokens each: a system message and three exchanges."""
    dice = random.Random(7)

    def text() -> str:
        return " ".join(dice.choice(WORDS) for _ in range(45)).capitalize() + "."

    return [
        {
            "messages": [
                {"role": "system", "content": "You are a helpful sales assistant."},
                *({"role": role, "content": text()} for _ in range(3) for role in ("user", "assistant")),
            ]
        }
        for _ in range(count)
    ]


def measure(model: Path, count: int, rounds: int) -> dict[str, float]:
    """Conversations a second for each way."""
    from transformers import AutoTokenizer

    data = conversations(count)
    ours = ChatTokenizer.from_folder(model, trusted=True)
    theirs = AutoTokenizer.from_pretrained(model)
    texts = [ours.render(conversation["messages"]) for conversation in data]
    numbered = list(enumerate(data))
    settings = MaskSettings()

    def trl() -> None:
        for conversation in data:
            theirs.apply_chat_template(
                conversation["messages"],
                chat_template=MARKED_TEMPLATE,
                return_dict=True,
                return_assistant_tokens_mask=True,
            )

    ways: dict[str, Callable[[], object]] = {
        "bare_encode_batch": lambda: ours.encoder.tokenizer.encode_batch(texts, add_special_tokens=False),
        "masking": lambda: list(mask_conversations(ours, numbered, settings)),
        "trl": trl,
        "version_check": lambda: verify(ours, numbered, settings),
    }
    best = dict.fromkeys(ways, float("inf"))
    for way in ways.values():
        way()  # compiled templates, tables of bytes, the twin vocabulary
    for _ in range(rounds):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            best[name] = min(best[name], time.perf_counter() - began)
    return {name: count / seconds for name, seconds in best.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--conversations", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    speed = measure(arguments.model, arguments.conversations, arguments.rounds)
    result: dict[str, Any] = {f"{name}_per_second": round(value) for name, value in speed.items()}
    result["masking_over_trl"] = round(speed["masking"] / speed["trl"], 2)
    result["masking_over_bare"] = round(speed["masking"] / speed["bare_encode_batch"], 2)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
