"""Short sales dialogues, all different, to import and train on."""

import json
from pathlib import Path
from typing import Any

_PRODUCTS = ("CRM", "help desk", "payroll", "web shop", "chat widget", "booking tool")
_WORRIES = ("It costs too much.", "We use spreadsheets.")
_ANSWERS = (
    "Fair point. What does one lost deal cost you today?",
    "Good that you have something. Where does it slow you down?",
)


def dialogue(number: int) -> dict[str, Any]:
    """Four turns in OpenAI's layout."""
    product = _PRODUCTS[number % len(_PRODUCTS)]
    side = number // len(_PRODUCTS) % 2
    return {
        "messages": [
            {"role": "user", "content": f"Caller {number + 1}: what can your {product} do?"},
            {"role": "assistant", "content": f"The {product} saves you time. How many people are you?"},
            {"role": "user", "content": f"We are {number + 3}. {_WORRIES[side]}"},
            {"role": "assistant", "content": _ANSWERS[side]},
        ],
        "outcome": ("won", "lost", "open")[number % 3],
    }


def dialogues(count: int, first: int = 0) -> list[dict[str, Any]]:
    """So many of them."""
    return [dialogue(number) for number in range(first, first + count)]


def write_lines(path: Path, lines: list[dict[str, Any] | str]) -> Path:
    """A JSON Lines file; strings go in as they are."""
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return path
