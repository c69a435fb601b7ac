"""The conversations that the benchmarks work on: the sample dialogues that ship with the studio, in a fixed order."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import app

SAMPLES = Path(app.__file__).parent / "samples"


def sample_dialogues(language: str = "en") -> list[dict[str, Any]]:
    """The shipped dialogues of one language, each with `messages` and labels."""
    path = SAMPLES / f"sales.{language}.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def many_dialogues(count: int, language: str = "en") -> Iterator[dict[str, Any]]:
    """So many different conversations: sample dialogues whose first user turn names a number of its own."""
    samples = sample_dialogues(language)
    for number in range(count):
        sample = samples[number % len(samples)]
        messages = [dict(message) for message in sample["messages"]]
        first = next(message for message in messages if message["role"] == "user")
        first["content"] = f"{first['content']} (Customer {number + 1})"
        yield {**sample, "messages": messages}


def plain(messages: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Role and content alone, which is all that other tools read."""
    return [{"role": message["role"], "content": message["content"]} for message in messages]
