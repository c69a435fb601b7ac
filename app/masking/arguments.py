"""Arguments of a chat template (`enable_thinking=false` …): plain values that every rendering gets."""

import json
import math
from collections.abc import Iterator, Mapping

from app.masking.errors import MaskingError
from app.sentences import N_

Argument = bool | int | float | str

FIELD = "template_arguments"
# Special tokens by the names that tokenizer_config.json gives them; templates read them as variables.
NAMED_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
# What every rendering passes itself.
RESERVED = frozenset(
    {
        *NAMED_TOKENS,
        "messages",
        "tools",
        "documents",
        "add_generation_prompt",
        "continue_final_message",
        "chat_template",
        "tokenize",
        "raise_exception",
        "strftime_now",
    }
)
MOST_ARGUMENTS = 64
LONGEST_TEXT = 10_000


class TemplateArguments(Mapping[str, Argument]):
    """A mapping that never changes, sorted by name; `true`, `1` and `1.0` are different arguments.

    Raises MaskingError for a name or value that no argument can have.
    """

    def __init__(self, values: Mapping[str, Argument] | None = None) -> None:
        if not isinstance(values, Mapping | None):
            raise MaskingError(N_("Template arguments must be names with values."), field=FIELD)
        given = dict(values or {})
        for name, value in given.items():
            _require_possible(name, value)
        if len(given) > MOST_ARGUMENTS:
            raise MaskingError(
                N_("A template takes at most %(limit)d arguments."), limit=MOST_ARGUMENTS, field=FIELD
            )
        self._values = {name: given[name] for name in sorted(given)}
        self._line = json.dumps(self._values, sort_keys=True)

    def __getitem__(self, name: str) -> Argument:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(self._line)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TemplateArguments) and self._line == other._line

    def __repr__(self) -> str:
        return f"TemplateArguments({self._line})"


def _require_possible(name: object, value: object) -> None:
    if not isinstance(name, str) or not name.isidentifier() or name.startswith("_"):
        raise MaskingError(
            N_("“%(name)s” cannot be the name of a template argument; use letters, digits and underscores."),
            name=name,
            field=FIELD,
        )
    if name in RESERVED:
        raise MaskingError(
            N_("The template argument “%(name)s” is set by every rendering itself; leave it out."),
            name=name,
            field=FIELD,
        )
    finite = not isinstance(value, float) or math.isfinite(value)
    if not isinstance(value, bool | int | float | str) or not finite:
        raise MaskingError(
            N_("The template argument “%(name)s” must be true, false, a number or text."),
            name=name,
            field=FIELD,
        )
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        raise MaskingError(
            N_("The template argument “%(name)s” is longer than %(limit)d characters."),
            name=name,
            limit=LONGEST_TEXT,
            field=FIELD,
        )
