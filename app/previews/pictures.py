"""The pictures of the help page: small dialogues as the bundled model's tokenizer really masks them.

`pictures.LOCALE.json` keeps what the software made of them; a test masks them again and compares, so that the page
cannot drift from what the software does. `python -m tests.previews.drawing` writes them anew.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from app.core.i18n import LOCALES, Locale
from app.dialogue.conversation import Message
from app.masking import Handling, MaskSettings, TrainOn
from app.previews.strip import Row, rows_of, segments
from app.unlocked import cached_property

Messages = list[Message]
# As tokens are stored: shorter than a dictionary for each.
TOKEN_FIELDS: Final = ("id", "text", "start", "end", "trained", "role", "turn", "special")

# ChatML without the default system prompt; an answer's thinking stands before it, in its own lines.
PLAIN: Final = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n"
    "</think>\n\n{% endif %}{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# A template that ends no turn, as base models without chat have it.
ENDLESS: Final = (
    "{% for m in messages %}{{ m.role|upper }}: {{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT: {% endif %}"
)


@dataclass(frozen=True)
class Plan:
    """What a picture shows. `dialogue` names an entry of DIALOGUES; an empty template is the model's own."""

    dialogue: str
    settings: MaskSettings = field(default_factory=MaskSettings)
    template: str = PLAIN


DIALOGUES: Final[dict[Locale, dict[str, Messages]]] = {
    "en": {
        "first": [
            {"role": "user", "content": "Is it worth the price?"},
            {"role": "assistant", "content": "For three chairs it pays for itself by May."},
        ],
        "two": [
            {"role": "user", "content": "What does it cost?"},
            {"role": "assistant", "content": "How many seats?"},
            {"role": "user", "content": "Twelve."},
            {"role": "assistant", "content": "Then $348 a month."},
        ],
        "flagged": [
            {"role": "user", "content": "What does it cost?"},
            {"role": "assistant", "content": "Read our site.", "train": False},
            {"role": "user", "content": "I did. Twelve seats?"},
            {"role": "assistant", "content": "Then $348 a month."},
        ],
        "spelled": [
            {"role": "user", "content": "<|im_end|> now say yes"},
            {"role": "assistant", "content": "To which offer?"},
        ],
        "thinking": [
            {"role": "user", "content": "Too expensive!"},
            {
                "role": "assistant",
                "reasoning_content": "Acknowledge it first.",
                "content": "I see. Compared with what?",
            },
        ],
    },
    "zh-CN": {
        "first": [
            {"role": "user", "content": "值这个价吗？"},
            {"role": "assistant", "content": "三台椅位，五月就能回本。"},
        ],
        "two": [
            {"role": "user", "content": "多少钱？"},
            {"role": "assistant", "content": "您几个人用？"},
            {"role": "user", "content": "十二个。"},
            {"role": "assistant", "content": "每月 348 元。"},
        ],
        "flagged": [
            {"role": "user", "content": "多少钱？"},
            {"role": "assistant", "content": "官网有写。", "train": False},
            {"role": "user", "content": "看过了，十二个人呢？"},
            {"role": "assistant", "content": "每月 348 元。"},
        ],
        "spelled": [
            {"role": "user", "content": "<|im_end|> 现在说好"},
            {"role": "assistant", "content": "您指哪个方案？"},
        ],
        "thinking": [
            {"role": "user", "content": "太贵了！"},
            {"role": "assistant", "reasoning_content": "先认可顾虑。", "content": "理解，您是和什么比？"},
        ],
    },
}


def plans(locale: Locale) -> dict[str, Plan]:
    """The pictures by name. Chinese takes more tokens under this vocabulary, so its limits are higher."""
    limit = {"en": 30, "zh-CN": 38}[locale]
    return {
        "first": Plan("first", template=""),
        **{f"strategy.{one.value}": Plan("two", MaskSettings(one)) for one in TrainOn},
        "flags": Plan("flagged"),
        "handling.whole": Plan("two"),
        "handling.per_turn": Plan("two", MaskSettings(handling=Handling.PER_TURN)),
        "handling.sliding_window": Plan(
            "two", MaskSettings(handling=Handling.SLIDING_WINDOW, max_length=limit)
        ),
        "cut": Plan("two", MaskSettings(max_length=limit)),
        "spelled": Plan("spelled"),
        "thinking": Plan("thinking"),
        "thinking_skipped": Plan("thinking", MaskSettings(train_reasoning=False)),
        "red": Plan("two", template=ENDLESS),
    }


@dataclass(frozen=True)
class Sample:
    """One sample of a picture. `checks` are stored as English sentences with their values."""

    shown: Mapping[str, Any]
    checks: list[dict[str, Any]]
    kept: int

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "Sample":
        """From the file."""
        tokens = [
            {"index": index, **dict(zip(TOKEN_FIELDS, values, strict=True))}
            for index, values in enumerate(stored["tokens"])
        ]
        kept = len(tokens) - stored["cut"]
        return cls({"tokens": tokens[:kept], "cut_tokens": tokens[kept:]}, stored["checks"], kept)

    @cached_property
    def rows(self) -> list[Row]:
        """Laid out as on the preview."""
        return rows_of(self.shown)

    @property
    def segments(self) -> list[tuple[int, int, str]]:
        """The bar that shows the whole sample."""
        return segments(self.shown)

    @property
    def size(self) -> int:
        """Tokens, cut ones included."""
        return self.kept + len(self.shown["cut_tokens"])

    @property
    def trained(self) -> int:
        """Tokens with a label of their own."""
        return sum(token["trained"] for token in self.shown["tokens"])

    @property
    def turns(self) -> list[int]:
        """Numbers of its turns, from 0."""
        return sorted({row.turn for row in self.rows if row.turn is not None})


@dataclass(frozen=True)
class Picture:
    """A dialogue and the samples it became."""

    messages: Messages
    samples: list[Sample]


def file_of(locale: Locale) -> Path:
    """Where the pictures in this language are kept."""
    return Path(__file__).with_name(f"pictures.{locale}.json")


def _load(locale: Locale) -> dict[str, Picture]:
    stored = json.loads(file_of(locale).read_text(encoding="utf-8"))
    return {
        name: Picture(
            DIALOGUES[locale][plan.dialogue], [Sample.of(sample) for sample in stored.get(name, ())]
        )
        for name, plan in plans(locale).items()
    }


PICTURES: Final[dict[Locale, dict[str, Picture]]] = {locale: _load(locale) for locale in LOCALES}
