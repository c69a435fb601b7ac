"""Two people who changed one recipe: what only one of them changed is taken from that one, and what both changed is asked.

What each began with is in the form or the request that was sent: older versions of a recipe are not kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from app.core.errors import Conflict
from app.core.i18n import gettext
from app.core.typed import typed_number
from app.recipe_book.form import RecipeForm
from app.recipe_book.schemas import RecipeChangeIn
from app.recipes.models import OwnRecipe
from app.recipes.own import RecipeDraft, judge_settings
from app.sentences import N_

_BOTH: Final = N_(
    "%(person)s changed “%(name)s” meanwhile, and both of you changed %(fields)s. Look at what it says now, in version %(now)d, then "
    "save again."
)
_NOW: Final = N_("It is “%(now)s” now.")


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


def merged_draft(body: RecipeChangeIn, row: OwnRecipe) -> tuple[RecipeDraft, int]:
    """What a request makes of a recipe, and the version that this changes. Raises Conflict, with a field each in `details`, about
    what somebody else changed meanwhile too, and Invalid about settings that are wrong.
    """
    now = RecipeDraft(row.name, row.purpose, row.settings.values, row.is_shared)
    if body.seen is None or body.version == row.version:
        return _changed(now, body), body.version
    if body.settings is not None:
        judge_settings(body.settings)
    form, seen = _form_of(_changed(now, body)), body.seen
    known = _form_of(
        RecipeDraft(seen.name or "", seen.purpose or "", seen.settings or {}, bool(seen.shared))
    ).texts()
    unknown = {name for name in ("name", "purpose", "shared") if getattr(seen, name) is None}
    if seen.settings is None:
        unknown |= set(form.values)
    form.seen = {name: text for name, text in known.items() if name not in unknown}
    if both := merge(form, row).both:
        raise Conflict(
            _BOTH,
            field=next(iter(both)),
            details=[
                {"field": name, "message": gettext(_NOW) % {"now": one.now}} for name, one in both.items()
            ],
            person=row.updated_by,
            name=row.name,
            fields=", ".join(both),
            now=row.version,
        )
    return form.draft(), row.version


def _changed(now: RecipeDraft, body: RecipeChangeIn) -> RecipeDraft:
    return RecipeDraft(
        now.name if body.name is None else body.name,
        now.purpose if body.purpose is None else body.purpose,
        now.settings if body.settings is None else body.settings,
        now.is_shared if body.shared is None else body.shared,
    )


def _form_of(draft: RecipeDraft) -> RecipeForm:
    form = RecipeForm.of(draft.settings, name=draft.name, purpose=draft.purpose)
    form.is_shared = draft.is_shared
    return form


def _same(one: str, other: str) -> bool:
    """Whether two texts mean the same: 3e-5 is 0.00003, and a field of several lines has the line breaks of its browser."""
    one, other = (text.replace("\r\n", "\n").strip() for text in (one, other))
    number = typed_number(one)
    return one == other or (number is not None and number == typed_number(other))
