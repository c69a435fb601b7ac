"""Which cases of a suite are answered where not all are: chosen evenly, as many as were asked for and as the time allows. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from app.evaluations.documents import CaseLimits
from app.sentences import N_, Sentence

# What the chosen places take.
SecondsOf = Callable[[list[int]], float]
_AS_ASKED: Final = N_("%(cases)d of %(of)d cases, chosen evenly, as was asked for.")
_AS_FITS: Final = N_(
    "%(cases)d of %(of)d cases, chosen evenly: on this machine all of them would take about %(minutes)s minutes, and "
    "%(allowed)s were allowed."
)


@dataclass(frozen=True)
class Plan:
    """Places of the cases that are answered, in the suite's order; why not all, or None."""

    places: list[int]
    why: Sentence | None


def evenly(of: int, count: int) -> list[int]:
    """`count` places of `of`, in the middle of equal stretches."""
    return [(2 * place + 1) * of // (2 * count) for place in range(count)]


def plan_cases(
    of: int, limits: CaseLimits, seconds_of: SecondsOf | None = None, *, spent: float = 0.0
) -> Plan:
    """As many of `of` cases as the limits allow, at least one. `seconds_of` tells what chosen places take; `spent` seconds
    of the time are gone."""
    most = min(of, limits.max_cases or of)
    if limits.max_minutes is not None and seconds_of is not None:
        left = 60 * limits.max_minutes - spent
        count = next((n for n in range(most, 1, -1) if seconds_of(evenly(of, n)) <= left), 1)
        if count < most:
            minutes = round((spent + seconds_of(list(range(of)))) / 60, 1)
            told = {"cases": count, "of": of, "minutes": minutes, "allowed": limits.max_minutes}
            return Plan(evenly(of, count), Sentence.of(_AS_FITS, **told))
    return Plan(evenly(of, most), Sentence.of(_AS_ASKED, cases=most, of=of) if most < of else None)
