"""What the runs of a sweep would be and take together, before any of them starts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlmodel import Session

from app.base_models.facts import ModelFacts
from app.core.errors import Invalid
from app.mask_checks.models import MaskCheck
from app.recipes.axes import Axis, combinations
from app.recipes.fields import display
from app.runs.backends import Backends
from app.runs.device import Device
from app.runs.mixing import Beside
from app.runs.pace import Pace, ahead_of, nearness_of, pace_of, way_of
from app.runs.planning import Choice, MemoryPlan, Plan, make_plan
from app.versions.models import DatasetVersion


@dataclass(frozen=True)
class Member:
    """A run of the sweep: what it has otherwise than the others, and its plan."""

    changes: Mapping[str, object]
    plan: Plan

    @property
    def said(self) -> str:
        """As it is called among the others."""
        return said_values(self.changes)


@dataclass(frozen=True)
class SweepPlan:
    """All of them. Figures are None where one of the runs has none; `errors` by field say why no run may start."""

    members: list[Member] = field(default_factory=list)
    seconds: float | None = None
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Optimiser steps of all runs."""
        return sum(member.plan.estimate.steps for member in self.members if member.plan.estimate)

    @property
    def disk(self) -> int | None:
        """Bytes of checkpoints and adapters, were all of them there at once."""
        found = [member.plan.disk for member in self.members]
        return None if None in found else sum(one or 0 for one in found)

    @property
    def memory(self) -> MemoryPlan | None:
        """Of the run that needs most."""
        found = [member.plan.memory for member in self.members if member.plan.memory]
        return max(found, key=lambda one: one.needed, default=None)


def said_values(changes: Mapping[str, object]) -> str:
    """`learning_rate 2e-5, lora_r 16`."""
    return ", ".join(f"{name} {display(value)}" for name, value in changes.items())


def plan_sweep(
    choice: Choice,
    axes: Sequence[Axis],
    version: DatasetVersion | None,
    check: MaskCheck | None,
    facts: ModelFacts | None,
    device: Device | None,
    backends: Backends,
    beside: Beside | None = None,
) -> SweepPlan:
    """A plan for each combination. What is wrong with all of them, or some, is said once, by field."""
    try:
        found = combinations(list(axes))
    except Invalid as error:
        return SweepPlan(errors={error.field or "start": error.translated()})
    members: list[Member] = []
    errors: dict[str, str] = {}
    for changes in found:
        one = replace(choice, changes={**choice.changes, **changes})
        member = Member(changes, make_plan(one, version, check, facts, device, backends, beside))
        members.append(member)
        for name, said in member.plan.errors.items():
            errors.setdefault(name, said)
    return SweepPlan(members, errors=errors)


def with_pace(session: Session, plan: SweepPlan, model_id: int) -> tuple[SweepPlan, Pace | None]:
    """The plan with the time that all runs take one after the other, by the newest run on the model that was
    trained the same way; and that run's pace."""
    paces: dict[tuple[object, ...], Pace | None] = {}
    total = 0.0
    for member in plan.members:
        config = member.plan.config
        key = (ahead_of(member.plan), *((way_of(config), repr(nearness_of(config))) if config else ()))
        if key not in paces:
            paces[key] = pace_of(session, model_id, member.plan)
        pace = paces[key]
        known = [
            value for value in (pace.seconds if pace else None, member.plan.minutes * 60 or None) if value
        ]
        if not known:
            return plan, None
        total += min(known)
    first = next(iter(paces.values()), None)
    return replace(plan, seconds=total or None), first
