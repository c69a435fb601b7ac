"""Two people who changed one recipe: what only one of them changed is taken from that one, and what both changed is asked.

What each began with is in the form that was sent: older versions of a recipe are not kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.core.typed import typed_number
from app.recipe_book.form import RecipeForm
from app.recipes.models import OwnRecipe


@dataclass(frozen=True)
class Difference:
    """A field as it was seen, as it is saved now, and as it was typed; `before` is None where nobody knows."""

    before: str | None
    now: str
    mine: str


@dataclass(frozen=True)
class Merged:
    """By field: what was `taken` over from what is saved now, and what `both` changed, each to something else."""

    taken: Mapping[str, Difference] = field(default_factory=dict)
    both: Mapping[str, Difference] = field(default_factory=dict)


def merge(form: RecipeForm, row: OwnRecipe) -> Merged:
    """Put into the form what others saved meanwhile, and begin it anew with what is saved now. What both changed stays as typed."""
    stored, typed, seen = RecipeForm.stored(row).texts(), form.texts(), form.seen
    taken: dict[str, Difference] = {}
    both: dict[str, Difference] = {}
    for name, now in stored.items():
        mine, before = typed[name], seen.get(name)
        if _same(mine, now) or (before is not None and _same(now, before)):
            continue
        place = taken if before is not None and _same(mine, before) else both
        place[name] = Difference(before, now, mine)
    form.take({name: one.now for name, one in taken.items()})
    form.version, form.seen = row.version, stored
    return Merged(taken, both)


def _same(one: str, other: str) -> bool:
    """Whether two texts mean the same: 3e-5 is 0.00003, and a field of several lines has the line breaks of its browser."""
    one, other = (text.replace("\r\n", "\n").strip() for text in (one, other))
    number = typed_number(one)
    return one == other or (number is not None and number == typed_number(other))
