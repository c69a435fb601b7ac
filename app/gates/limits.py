"""What is asked of a gate, as commands, addresses and the form spell it: `metric=value`. Loads no database."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

from fastapi import Query

from app.core.errors import Invalid
from app.core.typed import typed_number, typed_whole
from app.sentences import N_

BASE: Final = "base"
Rule = Literal["min", "max"]
MOST_LIMITS: Final = 200


@dataclass(frozen=True)
class Limit:
    """The metric of this name, as it was written, must be at least (`min`) or at most (`max`) `value`."""

    rule: Rule
    metric: str
    value: float


@dataclass(frozen=True)
class GateRequest:
    """Limits, and what the run must not be worse than: the base model (`BASE`), another run's id, or nothing.

    `tolerances` by metric are how much worse it may be than that; what they name is compared beside the headline numbers.
    """

    limits: tuple[Limit, ...] = ()
    against: str | int | None = None
    tolerances: dict[str, float] = field(default_factory=dict)


def read_request(
    minima: Sequence[str], maxima: Sequence[str], against: str, tolerances: Sequence[str]
) -> GateRequest:
    """As it was typed. Raises Invalid naming the field where something is not `metric=value`, is named twice, or nothing is
    asked at all."""
    limits = (*_limits("min", minima), *_limits("max", maxima))
    reference = _reference(against.strip())
    allowed = dict(_pairs("tolerance", tolerances))
    if allowed and reference is None:
        raise Invalid(
            N_("%(field)s says how much worse than something the run may be. Name that with against."),
            field="tolerance",
        )
    for name, value in allowed.items():
        if value < 0:
            raise Invalid(N_("%(field)s of %(metric)s must be at least 0."), field="tolerance", metric=name)
    if not limits and reference is None:
        raise Invalid(
            N_(
                "Nothing is asked. Name a limit with min or max, as in held_out_loss=2.5, or what to compare with: against=base."
            ),
            field="min",
        )
    return GateRequest(limits, reference, allowed)


def _limits(rule: Rule, texts: Sequence[str]) -> Iterator[Limit]:
    for name, value in _pairs(rule, texts):
        yield Limit(rule, name, value)


def _pairs(name: str, texts: Iterable[str]) -> Iterator[tuple[str, float]]:
    seen: set[str] = set()
    # A field of a form holds one a line.
    for text in (line.strip() for one in texts for line in one.splitlines()):
        if not text:
            continue
        metric, equals, number = text.partition("=")
        metric = metric.strip()
        value = typed_number(number)
        if not equals or not metric or value is None:
            raise Invalid(
                N_(
                    "%(field)s wants metric=value with a number, as in sales-en.checks=0.8; “%(text)s” is not that."
                ),
                field=name,
                text=text[:80],
            )
        if metric in seen:
            raise Invalid(
                N_("%(field)s names %(metric)s twice. Keep one of them."), field=name, metric=metric
            )
        seen.add(metric)
        yield metric, value


def _reference(text: str) -> str | int | None:
    if not text:
        return None
    if text == BASE:
        return BASE
    found = typed_whole(text)
    if found is not None:
        return found
    raise Invalid(
        N_("%(field)s is “base” or the id of a run; “%(text)s” is neither."), field="against", text=text[:80]
    )


_Texts = Annotated[list[str], Query(max_length=MOST_LIMITS)]


def asked(
    minimum: Annotated[
        _Texts, Query(alias="min", description="At least: metric=value. May be repeated.")
    ] = [],  # noqa: B006
    maximum: Annotated[
        _Texts, Query(alias="max", description="At most: metric=value. May be repeated.")
    ] = [],  # noqa: B006
    against: Annotated[
        str, Query(max_length=20, description="“base” or a run's id: what the run must not be worse than.")
    ] = "",
    tolerance: Annotated[
        _Texts, Query(description="How much worse than that it may be: metric=value. May be repeated.")
    ] = [],  # noqa: B006
) -> GateRequest:
    """Of an address. Raises Invalid."""
    return read_request(minimum, maximum, against, tolerance)
