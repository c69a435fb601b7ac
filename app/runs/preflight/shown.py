"""The pre-flight as the last step of the form shows it."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final, TypedDict

from app.base_models.models import ModelEntry
from app.runs.form_checks import Checks
from app.runs.mixing import Beside
from app.runs.new_run import NewRunForm
from app.runs.planning import Plan
from app.runs.preflight.checklist import preflight
from app.runs.preflight.documents import Accepted, PreflightRecord
from app.runs.preflight.facts import Facts, Ground
from app.runs.preflight.gate import taken_before, waiting
from app.runs.preflight.items import GRAVEST_FIRST, Item, Level, Name
from app.sentences import Sentence
from app.versions.models import DatasetVersion

# The form says these by its own box and field, which wake the start at once.
_SAID_BESIDE = (Name.MASK_CHECK, Name.CONFIRMED)


class ShownPreflight(TypedDict):
    """What `runs/_preflight.html` and `runs/_preflight_items.html` read: `waits` are names of warnings that nobody has accepted,
    `blocks` whether an error stands that no box of the form takes away, `ticked` names as sent, `taken` who accepted a warning when
    an earlier run was started; `differing` by name what the runs of a sweep say of it, where they differ.
    """

    preflight: dict[str, list[Item]]
    waits: list[str]
    blocks: bool
    ticked: Collection[str]
    taken: dict[str, Accepted]
    differing: dict[str, list[tuple[str, Sentence]]]


NOTHING_SHOWN: Final[ShownPreflight] = {
    "preflight": {},
    "waits": [],
    "blocks": False,
    "ticked": (),
    "taken": {},
    "differing": {},
}


def shown_preflight(
    form: NewRunForm,
    version: DatasetVersion | None,
    model: ModelEntry | None,
    checks: Checks,
    plans: Sequence[tuple[str, Plan]],
    ground: Ground,
    beside: Beside | None = None,
) -> ShownPreflight:
    """Items by level, the gravest first; none where there is nothing to train yet. `plans` of the run, or of several, each with what
    it is called."""
    if version is None or model is None:
        return NOTHING_SHOWN
    reason = form.values["override_reason"]
    facts = Facts(
        version,
        model,
        checks.check,
        checks.job,
        plans[0][1],
        ground,
        suites=form.suites,
        confirmed=bool(form.values["confirmed"]),
        override_reason=reason,
        beside=beside,
    )
    lists = [(said, preflight(replace(facts, plan=plan))) for said, plan in plans]
    found = shown_items(worst([items for _said, items in lists]), form.accepted, reason)
    return {**found, "differing": where_they_differ(lists)}


def shown_items(
    items: Sequence[Item],
    accepted: Collection[str],
    reason: str = "",
    before: PreflightRecord | None = None,
) -> ShownPreflight:
    """The list of a run, with what is accepted now and what was `before`."""
    taken = {one.name.value: taken_before(one, before) for one in items if one.level is Level.WARNING}
    return {
        "preflight": {level.value: [one for one in items if one.level is level] for level in Level},
        "waits": [one.name.value for one in waiting(items, accepted, reason, before)],
        "blocks": any(one.level is Level.ERROR and one.name not in _SAID_BESIDE for one in items),
        "ticked": accepted,
        "taken": {name: one for name, one in taken.items() if one is not None},
        "differing": {},
    }


def worst(lists: Sequence[list[Item]]) -> list[Item]:
    """Of several runs each item once, as it stands worst."""
    found: dict[tuple[Name, str | None], Item] = {}
    for item in (item for items in lists for item in items):
        # Mistakes are a field's each.
        key = (item.name, item.field if item.name is Name.CONFIG else None)
        known = found.get(key)
        if known is None or GRAVEST_FIRST.index(item.level) < GRAVEST_FIRST.index(known.level):
            found[key] = item
    return list(found.values())


def where_they_differ(lists: Sequence[tuple[str, list[Item]]]) -> dict[str, list[tuple[str, Sentence]]]:
    """By name of an item against which something stands, what each of the runs says of it that has it so, where they do not all
    say the same."""
    told: dict[str, list[tuple[str, Sentence]]] = {}
    for said, items in lists:
        for one in items:
            if one.level is not Level.OK and one.name is not Name.CONFIG:
                told.setdefault(one.name.value, []).append((said, one.sentence))
    return {
        name: found
        for name, found in told.items()
        if len(found) < len(lists) or len({(one.template, *one.values.items()) for _said, one in found}) > 1
    }
