"""The judgement: every limit and comparison that was asked for, or a refusal that lists what there is. Never a pass for want of
a number."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Final

from sqlmodel import Session

from app.core.database import utc_now
from app.core.errors import Conflict, Invalid
from app.core.i18n import gettext, say
from app.evaluations.service import list_evaluations
from app.gates.limits import BASE, GateRequest, Limit
from app.gates.metrics import EVALUATED_LOSS, HELD_OUT_LOSS, SHARE, Metric, Metrics, read_metrics
from app.gates.schemas import CriterionOut, GateOut, LeftOutOut, Rule, figure
from app.jobs.models import JobState
from app.runs.models import Run
from app.runs.service import require_run, run_job
from app.scoring.verdict import NOTHING
from app.sentences import N_, Sentence

_SAID: Final[Mapping[tuple[Rule, bool], str]] = {
    ("min", True): N_("%(metric)s is %(value)s, at least %(limit)s."),
    ("min", False): N_("%(metric)s is %(value)s and must be at least %(limit)s."),
    ("max", True): N_("%(metric)s is %(value)s, at most %(limit)s."),
    ("max", False): N_("%(metric)s is %(value)s and must be at most %(limit)s."),
    ("no_worse", True): N_("%(metric)s is %(value)s, not worse than the %(reference)s of %(against)s."),
    ("no_worse", False): N_("%(metric)s is %(value)s, worse than the %(reference)s of %(against)s."),
}


def judge(session: Session, run: Run, request: GateRequest) -> GateOut:
    """Raises Conflict where the run has not ended well, is still being judged, or cannot be compared; Invalid for a metric
    that it does not have."""
    metrics = _metrics_of(session, run)
    waiting = _still_judged(session, run)
    chosen = [(limit, _find(metrics, limit.metric, limit.rule, run, waiting)) for limit in request.limits]
    for limit, metric in chosen:
        _require_within(metric, limit.value, limit.rule)
    criteria = [_held(limit, metric) for limit, metric in chosen]
    left_out: list[LeftOutOut] = []
    if request.against is not None:
        named: dict[str, float] = {}
        for name, allowed in request.tolerances.items():
            metric = _find(metrics, name, "tolerance", run, waiting)
            _require_within(metric, allowed, "tolerance")
            named[metric.name] = allowed
        compared, left_out = _compared(session, run, metrics, request.against, named, waiting)
        criteria += compared
    _require_judged(metrics, criteria, waiting)
    return GateOut(
        run_id=run.id or 0,
        run=run.name,
        judged_at=utc_now(),
        passed=all(one.passed for one in criteria),
        against=None if request.against is None else str(request.against),
        criteria=criteria,
        left_out=left_out,
    )


def _metrics_of(session: Session, run: Run) -> Metrics:
    job = run_job(session, run)
    if not job.is_final:
        raise Conflict(N_("Run %(id)d has not ended yet, so it cannot be judged. Wait for it."), id=run.id)
    if job.state is JobState.FAILED:
        raise Conflict(
            N_("Run %(id)d failed, so there is nothing to judge: %(reason)s"),
            id=run.id,
            reason=job.error_text or "",
        )
    if run.adapter_key is None:
        raise Conflict(N_("Run %(id)d ended without weights, so there is nothing to judge."), id=run.id)
    return read_metrics(session, run)


def _still_judged(session: Session, run: Run) -> set[str]:
    """Suites whose newest evaluation has not ended."""
    return {one.suite_name for one, job in list_evaluations(session, run_id=run.id) if not job.is_final}


def _require_judged(metrics: Metrics, criteria: Iterable[CriterionOut], waiting: set[str]) -> None:
    """What is being measured anew is not judged by its earlier number."""
    concerned = {metrics[one.metric].suite for one in criteria} & waiting
    if concerned:
        raise _under_way(concerned)


def _under_way(suites: Iterable[str | None]) -> Conflict:
    return Conflict(
        N_("The evaluation on %(suites)s is still under way. Wait for it."),
        suites=", ".join(sorted(map(str, suites))),
    )


def _find(metrics: Metrics, name: str, field: str, run: Run, waiting: set[str]) -> Metric:
    """By the whole name, or without the suite where one suite alone has it."""
    if name in metrics:
        return metrics[name]
    found = [metric for metric in metrics.values() if metric.suite and metric.short == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise Invalid(
            N_("%(field)s: several suites have a metric “%(name)s”. Name one of: %(names)s."),
            field=field,
            name=name,
            names=", ".join(metric.name for metric in found),
        )
    if waiting:
        raise _under_way(waiting)
    known = ", ".join(metrics)
    close = difflib.get_close_matches(name, metrics, n=1)
    if close:
        raise Invalid(
            N_("%(field)s: run %(run)d has no metric “%(name)s”. Is it %(close)s? There are: %(known)s."),
            field=field,
            run=run.id,
            name=name,
            close=close[0],
            known=known,
        )
    raise Invalid(
        N_("%(field)s: run %(run)d has no metric “%(name)s”. There are: %(known)s."),
        field=field,
        run=run.id,
        name=name,
        known=known,
    )


def _require_within(metric: Metric, limit: float, field: str) -> None:
    """Raises Invalid for a limit beyond what the metric can be, which every run meets, or none: most often percent of a share."""
    if metric.span is None or metric.span[0] <= limit <= metric.span[1]:
        return
    low, high = metric.span
    if metric.span == SHARE and 1 < limit <= 100:
        raise Invalid(
            N_(
                "%(field)s: %(metric)s lies between %(low)s and %(high)s, which %(limit)s does not. Is %(close)s meant?"
            ),
            field=field,
            metric=metric.name,
            low=figure(low),
            high=figure(high),
            limit=figure(limit),
            close=figure(limit / 100),
        )
    raise Invalid(
        N_("%(field)s: %(metric)s lies between %(low)s and %(high)s, which %(limit)s does not."),
        field=field,
        metric=metric.name,
        low=figure(low),
        high=figure(high),
        limit=figure(limit),
    )


def _held(limit: Limit, metric: Metric) -> CriterionOut:
    gap = metric.value - limit.value
    return _criterion(metric, limit.rule, limit.value, gap >= 0 if limit.rule == "min" else gap <= 0)


def _criterion(
    metric: Metric, rule: Rule, limit: float, passed: bool, reference: float | None = None, against: str = ""
) -> CriterionOut:
    told = {"value": metric.value, "limit": limit, "reference": reference}
    figures = {name: figure(value) for name, value in told.items() if value is not None}
    sentence = Sentence.of(_SAID[rule, passed], metric=metric.name, against=against, **figures)
    return CriterionOut(
        metric=metric.name,
        label=gettext(metric.label),
        rule=rule,
        better=metric.better,
        value=metric.value,
        limit=limit,
        reference=reference,
        passed=passed,
        detail=say(sentence),
    )


def _compared(
    session: Session,
    run: Run,
    metrics: Metrics,
    against: str | int,
    named: Mapping[str, float],
    waiting: set[str],
) -> tuple[list[CriterionOut], list[LeftOutOut]]:
    """Headline numbers and those that were named, each held against the reference's."""
    if against == BASE:
        reference, title = _of_base(metrics), gettext(N_("the base model"))
    else:
        other = require_run(session, int(against))
        if other.id == run.id:
            raise Invalid(
                N_(
                    "%(field)s is the run itself, which is never worse than itself. Name another run, or “base”."
                ),
                field="against",
            )
        reference, title = _metrics_of(session, other), say(Sentence.of(N_("run %(id)d"), id=other.id))
        if still := _still_judged(session, other):
            raise _under_way(still)
    together = reference | metrics
    if waiting & {metric.suite for metric in together.values()}:
        raise _under_way(waiting)
    criteria: list[CriterionOut] = []
    left_out: list[LeftOutOut] = []
    for name in dict.fromkeys([*_headlines(metrics, reference), *named]):
        why = _why_not(metrics.get(name), reference.get(name), against, title, run)
        if why is None:
            criteria.append(_no_worse(metrics[name], reference[name].value, named.get(name, 0.0), title))
        elif (
            name in (HELD_OUT_LOSS, EVALUATED_LOSS)
            and name not in named
            and name in metrics
            and name in reference
        ):
            # Data grow from run to run; what was held out then is not what is held out now.
            left_out.append(LeftOutOut(metric=name, detail=say(why)))
        else:
            raise Conflict(why)
    if not criteria:
        raise Conflict(
            N_("There is nothing to compare run %(run)d with %(against)s by. Evaluate it on a suite first."),
            run=run.id,
            against=title,
        )
    return criteria, left_out


def _headlines(metrics: Metrics, reference: Metrics) -> list[str]:
    """What is compared unasked. Where one of the two has no held-out loss of its own, that of their evaluations, if both have it:
    never one's own against the other's."""
    names = [name for name, one in (reference | metrics).items() if one.is_headline]
    of_both = metrics.keys() & reference.keys()
    if HELD_OUT_LOSS not in of_both and EVALUATED_LOSS in of_both:
        return [EVALUATED_LOSS, *(name for name in names if name != HELD_OUT_LOSS)]
    return names


def _of_base(metrics: Metrics) -> Metrics:
    """The base model's numbers, those that were measured as the run's were."""
    return {
        name: Metric(name, one.label, one.base, one.better, None, one.suite, one.measured_on)
        for name, one in metrics.items()
        if one.base is not None
    }


def _why_not(
    ours: Metric | None, theirs: Metric | None, against: str | int, title: str, run: Run
) -> Sentence | None:
    """Why the two cannot be compared, or None."""
    found = ours or theirs
    assert found is not None
    if ours is None:
        return Sentence.of(
            N_(
                "%(against)s has the metric %(metric)s and run %(run)d has not. Evaluate it on the same suite first."
            ),
            against=title,
            metric=found.name,
            run=run.id,
        )
    if theirs is None and against == BASE:
        return Sentence.of(
            N_(
                "%(metric)s was not measured of the base model. Evaluate run %(run)d: an evaluation measures the held-out loss and the "
                "answers of both."
            ),
            metric=found.name,
            run=run.id,
        )
    if theirs is None:
        return Sentence.of(
            N_(
                "Run %(run)d has the metric %(metric)s and %(against)s has not. Evaluate both on the same suites first."
            ),
            against=title,
            metric=found.name,
            run=run.id,
        )
    if ours.better is None:
        return Sentence.of(
            N_("Of %(metric)s neither more nor less is better; name a limit instead."), metric=ours.name
        )
    if ours.measured_on != theirs.measured_on:
        template = (
            N_(
                "%(metric)s of %(against)s was measured on other cases, so they cannot be compared. Evaluate both on the same."
            )
            if ours.suite
            else N_(
                "%(metric)s of %(against)s was measured on other conversations, so they cannot be compared."
            )
        )
        return Sentence.of(template, metric=ours.name, against=title)
    return None


def _no_worse(metric: Metric, reference: float, allowed: float, title: str) -> CriterionOut:
    limit = reference - allowed if metric.better == "higher" else reference + allowed
    gap = metric.value - limit if metric.better == "higher" else limit - metric.value
    return _criterion(metric, "no_worse", limit, gap >= -NOTHING, reference, title)
