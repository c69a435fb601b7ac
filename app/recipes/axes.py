"""Several values of a hyperparameter, as people type them, and the runs that come of them.

`2e-5, 5e-5` are two values of a field; `lora_r:lora_alpha` with `16:32, 64:128` are fields that change together. Every
combination of what changes by itself is a run.

Pure: text in, changes of a config out.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Final

from app.core.errors import Invalid
from app.recipes.fields import FIELDS
from app.sentences import N_

MOST_RUNS: Final = 24
_TIE: Final = ":"
# A value of these may hold commas, or is a name in which a comma is a mistake: values are told apart by semicolons alone.
_WITH_COMMAS: Final = ("lora_target_modules", "accelerate_config")
_VARIED: Final = N_("%(field)s is varied, so it has no value of its own as well: empty one of them.")
_NO_FIELD: Final = N_("%(field)s cannot be varied: there is no such setting of the training.")
_TWICE: Final = N_("%(field)s is varied twice. Name it once, with all its values.")
_UNEVEN: Final = N_("“%(value)s” needs %(wanted)d values with “:” between them, one for each of %(fields)s.")
_EMPTY: Final = N_("%(field)s has an empty value between two commas. Leave out one of them.")
_NO_VALUE: Final = N_("%(field)s has no value to try.")
_LINE: Final = N_("“%(line)s” is no line such as lora_r:lora_alpha = 16:32, 64:128.")
_TOO_MANY: Final = N_(
    "%(count)d runs are asked for (%(sizes)s), and a sweep has at most %(most)d. Name fewer values, or vary some of them together."
)


@dataclass(frozen=True)
class Axis:
    """Fields that change together, and the values of each step: as many as there are fields."""

    fields: tuple[str, ...]
    values: tuple[tuple[object, ...], ...]

    @property
    def name(self) -> str:
        """As one types it."""
        return _TIE.join(self.fields)


def require_apart(single: Collection[str], axes: Iterable[Axis]) -> None:
    """Raises Invalid for a field that is varied and has one value for all runs too."""
    for name in (name for axis in axes for name in axis.fields):
        if name in single:
            raise Invalid(_VARIED, field=name)


def split_values(name: str, text: str) -> list[str]:
    """The values of a field in what was typed for it; a single one where it says nothing of several."""
    if name not in FIELDS or FIELDS[name].is_text:
        return [text]
    text = text.replace("，", ",").replace("；", ";")
    if ";" in text:
        return [part.strip() for part in text.split(";")]
    return [text] if name in _WITH_COMMAS else [part.strip() for part in text.split(",")]


def read_axis(name: str, text: str) -> Axis:
    """What `name`, of one field or of several with “:” between them, is varied over. Raises Invalid naming the field."""
    fields = tuple(part.strip() for part in name.split(_TIE))
    separated = split_values(fields[0], text) if len(fields) == 1 else _separated(text)
    if len(fields) == 1:
        return make_axis(fields, [(value,) for value in separated])
    return make_axis(fields, [tuple(part.strip() for part in value.split(_TIE)) for value in separated])


def make_axis(fields: tuple[str, ...], values: Iterable[tuple[object, ...]]) -> Axis:
    """A judged axis. Raises Invalid for a field that is none, or for a step that has too few values."""
    for field in fields:
        if field not in FIELDS or FIELDS[field].is_text:
            raise Invalid(_NO_FIELD, field=field[:80])
    steps = tuple(values)
    if not steps:
        raise Invalid(_NO_VALUE, field=fields[0])
    for step in steps:
        if any(isinstance(value, str) and not value.strip() for value in step):
            raise Invalid(_EMPTY, field=fields[0])
        if len(step) != len(fields):
            said = _TIE.join(str(value) for value in step)[:80]
            raise Invalid(_UNEVEN, field=fields[0], value=said, wanted=len(fields), fields=", ".join(fields))
    return Axis(fields, steps)


def read_lines(text: str) -> list[Axis]:
    """Axes, one a line: `lora_r:lora_alpha = 16:32, 64:128`. Raises Invalid naming the field, or `together` for a strange
    line.
    """
    axes = []
    for line in text.splitlines():
        name, equals, values = line.replace("：", _TIE).partition("=")
        if not line.strip():
            continue
        if not equals or not name.strip():
            raise Invalid(_LINE, field="together", line=line.strip()[:80])
        axes.append(read_axis(name, values))
    return axes


def axes_of(changes: Mapping[str, str]) -> tuple[dict[str, str], list[Axis]]:
    """Changes as typed: those with one value, and an axis for each that has several."""
    single, axes = {}, []
    for name, text in changes.items():
        if len(split_values(name, text)) > 1:
            axes.append(read_axis(name, text))
        else:
            single[name] = text
    return single, axes


def combinations(axes: list[Axis]) -> list[Mapping[str, object]]:
    """The changes of each run, the last axis changing fastest. Raises Invalid for more runs than a sweep may have, or for a
    field in two axes.
    """
    named = [field for axis in axes for field in axis.fields]
    for field in named:
        if named.count(field) > 1:
            raise Invalid(_TWICE, field=field)
    sizes = [len(axis.values) for axis in axes]
    if math.prod(sizes) > MOST_RUNS:
        raise Invalid(
            _TOO_MANY,
            field=axes[0].fields[0],
            count=math.prod(sizes),
            sizes=" × ".join(map(str, sizes)),
            most=MOST_RUNS,
        )
    return [
        {
            field: value
            for axis, step in zip(axes, steps, strict=True)
            for field, value in zip(axis.fields, step, strict=True)
        }
        for steps in product(*(axis.values for axis in axes))
    ]


def _separated(text: str) -> list[str]:
    text = text.replace("，", ",").replace("；", ";").replace("：", _TIE)
    return [part.strip() for part in text.split(";" if ";" in text else ",")]
