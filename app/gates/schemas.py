"""What REST writes for gates. Loads no database, for the command line reads it too."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

Rule = Literal["min", "max", "no_worse"]
# How many runs of a sweep have to pass.
Need = Literal["any", "all"]


class MetricOut(BaseModel):
    """A number of a run. `base` is the base model's, measured the same way; `better` is null where no direction is good; `span` are
    the lowest and the highest value that it can have, null where it has not both. A limit beyond it is refused.
    """

    name: str
    label: str
    value: float
    base: float | None
    better: Literal["higher", "lower"] | None
    span: tuple[float, float] | None
    suite: str | None


class CriterionOut(BaseModel):
    """One thing that was asked: `metric` by its whole name, `value` the run's, `limit` what it must reach or stay below.

    Of `no_worse`, `reference` is the number it was held against. `detail` is a sentence in the reader's language.
    """

    metric: str
    label: str
    rule: Rule
    better: Literal["higher", "lower"] | None
    value: float
    limit: float
    reference: float | None = None
    passed: bool
    detail: str


class LeftOutOut(BaseModel):
    """A number that could not be compared, and why."""

    metric: str
    detail: str


class GateOut(BaseModel):
    """Whether a run passed; `against` is “base”, another run's id, or null."""

    run_id: int
    run: str
    judged_at: datetime
    passed: bool
    against: str | None
    criteria: list[CriterionOut]
    left_out: list[LeftOutOut]


class SweptOut(BaseModel):
    """A run of a sweep before the gate. `values` by field that differs, as one would type them; without a `gate` it was not judged,
    and `why` says why: a sentence in the reader's language.
    """

    run_id: int
    run: str
    values: dict[str, str]
    gate: GateOut | None
    why: str | None

    @property
    def passed(self) -> bool:
        """Whether it was judged, and passed."""
        return self.gate is not None and self.gate.passed


class SweepGateOut(BaseModel):
    """Whether a sweep passed: `need` says whether one of its runs has to (`any`), or all of them. `best_run_id` has the lowest
    held-out loss of those that passed; null where none did, or none was measured.
    """

    sweep_id: int
    sweep: str
    judged_at: datetime
    passed: bool
    need: Need
    best_run_id: int | None
    runs: list[SweptOut]


def figure(value: float) -> str:
    """A number as sentences and tables write it: in groups of digits, whole ones whole, others to six digits, by which a loss
    that is just above its limit is told from it.
    """
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.6g}"
