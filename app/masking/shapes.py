"""Layouts of many conversations: the exact way for each, and a proven short cut for templates that never
look at text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.masking.layout import Layout
from app.masking.spans import locate
from app.masking.tokenizer import ChatTokenizer


@dataclass(frozen=True)
class Found:
    layout: Layout
    expected_controls: int | None = None


class ShapeBook:
    """Lays out conversations under one tokenizer."""

    def __init__(self, tokenizer: ChatTokenizer) -> None:
        self.tokenizer = tokenizer

    def lay_out(self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Any] | None) -> Found:
        return Found(locate(self.tokenizer, messages, tools))
