"""The parts that find turns, put together for one conversation as `locate` does."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.masking import ChatTokenizer
from app.masking.turns.borders import Borders
from app.masking.turns.comparison import Comparison
from app.masking.turns.probes import Probes
from app.masking.turns.renderings import Message, Renderings


@dataclass(frozen=True)
class Parts:
    renderings: Renderings
    borders: Borders
    comparison: Comparison
    probes: Probes


def parts_of(tokenizer: ChatTokenizer, messages: Sequence[Message]) -> Parts:
    renderings = Renderings(tokenizer, messages, None)
    borders = Borders(messages, renderings)
    comparison = Comparison(tokenizer.controls.any)
    return Parts(renderings, borders, comparison, Probes(renderings, borders, comparison))
