"""The pre-flight as the last step of the form shows it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypedDict

from app.base_models.models import ModelEntry
from app.jobs.models import Job
from app.mask_checks.models import MaskCheck
from app.runs.mixing import Beside
from app.runs.new_run import NewRunForm
from app.runs.planning import Plan
from app.runs.preflight.checklist import preflight
from app.runs.preflight.facts import Facts, Ground
from app.runs.preflight.gate import waiting
from app.runs.preflight.items import GRAVEST_FIRST, Item, Level, Name
from app.versions.models import DatasetVersion

# The form says these by its own box and field, which wake the start at once.
_SAID_BESIDE = (Name.MASK_CHECK, Name.CONFIRMED)


class ShownPreflight(TypedDict):
    """What `runs/_preflight.html` reads: `waits` are names of warnings that nobody has accepted, `blocks` whether an error stands
    that no box of the form takes away.
    """

    preflight: dict[str, list[Item]]
    waits: list[str]
    blocks: bool


def shown_preflight(
    form: NewRunForm,
    version: DatasetVersion | None,
    model: ModelEntry | None,
    check: MaskCheck | None,
    job: Job | None,
    plans: Sequence[Plan],
    ground: Ground,
    beside: Beside | None = None,
) -> ShownPreflight:
    """Items by level, the gravest first; none where there is nothing to train yet. Of several runs each item once, as it stands
    worst."""
    if version is None or model is None:
        return {"preflight": {}, "waits": [], "blocks": False}
    reason = form.values["override_reason"]
    facts = Facts(
        version,
        model,
        check,
        job,
        plans[0],
        ground,
        suites=form.suites,
        confirmed=bool(form.values["confirmed"]),
        override_reason=reason,
        beside=beside,
    )
    items = _worst([preflight(replace(facts, plan=plan)) for plan in plans])
    return {
        "preflight": {level.value: [one for one in items if one.level is level] for level in Level},
        "waits": [one.name.value for one in waiting(items, form.accepted, reason)],
        "blocks": any(one.level is Level.ERROR and one.name not in _SAID_BESIDE for one in items),
    }


def _worst(lists: Sequence[list[Item]]) -> list[Item]:
    found: dict[tuple[Name, str | None], Item] = {}
    for item in (item for items in lists for item in items):
        # Mistakes are a field's each.
        key = (item.name, item.field if item.name is Name.CONFIG else None)
        known = found.get(key)
        if known is None or GRAVEST_FIRST.index(item.level) < GRAVEST_FIRST.index(known.level):
            found[key] = item
    return list(found.values())
