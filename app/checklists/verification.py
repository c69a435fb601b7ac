"""Verification: instructions, format, domain, general ability, by the newest evaluation of each suite."""

from collections.abc import Iterator

from app.checklists.facts import Facts
from app.checklists.items import Item, Part, State, item
from app.evaluations.documents import EvaluationSummary
from app.scoring.scores import RETENTION_WARNING
from app.sentences import N_

_NOT_JUDGED = N_("Not judged yet: evaluate the run with a suite of your domain.")


def verification_items(facts: Facts) -> Iterator[Item]:
    """The last section."""
    sales = facts.of_kind("sales")
    yield _instructions(facts, sales)
    yield _format(facts, sales)
    yield _domain(facts, sales)
    yield _general(facts)


_Judged = list[tuple[int, EvaluationSummary]]


def _instructions(facts: Facts, sales: _Judged) -> Item:
    if not sales:
        return _open(facts, "instructions")
    evaluation, summary = min(sales, key=_gain)
    before, after, of = summary.base.checks_passed, summary.tuned.checks_passed, summary.tuned.checks
    message = N_("%(after)d of %(of)d checks of what was asked for pass, %(before)d before.")
    state = State.PASS if after >= before else State.FAIL
    return _judged("instructions", state, evaluation, message, after=after, of=of, before=before)


def _gain(one: tuple[int, EvaluationSummary]) -> int:
    """The worst suite speaks."""
    return one[1].tuned.checks_passed - one[1].base.checks_passed


def _format(facts: Facts, sales: _Judged) -> Item:
    known = [
        (after - before, evaluation, before, after)
        for evaluation, summary in sales
        if (after := summary.tuned.scores.format) is not None
        and (before := summary.base.scores.format) is not None
    ]
    if not known:
        return _open(facts, "answer_format")
    gap, evaluation, before, after = min(known)
    message = N_("The score for format is %(after)s, %(before)s before.")
    state = State.PASS if gap >= -0.005 else State.WARN
    return _judged("answer_format", state, evaluation, message, after=f"{after:.2f}", before=f"{before:.2f}")


def _domain(facts: Facts, sales: _Judged) -> Item:
    """What was held out is the domain itself; a suite of it says whether answers got better."""
    measured = [
        (evaluation, one.held_out_loss) for evaluation, one in facts.newest.values() if one.held_out_loss
    ]
    if not measured and not sales:
        return _open(facts, "domain")
    worse = next((one for one in sales if one[1].verdict and one[1].verdict.outcome == "worse"), None)
    if worse and worse[1].verdict:
        verdict = worse[1].verdict
        message = N_("Answers got worse: %(wins)d cases better, %(losses)d worse.")
        return _judged("domain", State.FAIL, worse[0], message, wins=verdict.wins, losses=verdict.losses)
    if measured:
        evaluation, losses = max(measured, key=lambda one: one[0])
        values = {"before": f"{losses.base:.3f}", "after": f"{losses.tuned:.3f}"}
        if losses.tuned < losses.base:
            message = N_(
                "On conversations held out of the training the loss fell from %(before)s to %(after)s."
            )
            return _judged("domain", State.PASS, evaluation, message, **values)
        message = N_(
            "On conversations held out of the training the loss did not fall: %(before)s, then %(after)s."
        )
        return _judged("domain", State.WARN, evaluation, message, **values)
    evaluation, summary = sales[0]
    assert summary.verdict is not None
    message = N_("%(wins)d cases got better, %(losses)d worse; nothing was held out to measure a loss on.")
    return _judged(
        "domain", State.WARN, evaluation, message, wins=summary.verdict.wins, losses=summary.verdict.losses
    )


def _general(facts: Facts) -> Item:
    judged = facts.of_kind("general")
    known = [
        (one.retention.value, evaluation)
        for evaluation, one in judged
        if one.retention and one.retention.value is not None
    ]
    if not known and judged:
        message = N_(
            "Judged, but the base model passes no check there, so nothing tells what was lost: take more of the cases, or a "
            "suite where it passes some."
        )
        return _judged("general", State.OPEN, judged[0][0], message)
    if not known:
        message = N_("Not measured: evaluate the run with a suite of general ability.")
        return item("general", Part.VERIFICATION, State.OPEN, f"/evaluations?run={facts.run.id}", message)
    kept, evaluation = min(known)
    values = {"kept": round(100 * kept), "least": round(100 * RETENTION_WARNING)}
    if kept < RETENTION_WARNING:
        message = N_("%(kept)d %% of general ability are left, less than %(least)d %%.")
        return _judged("general", State.FAIL, evaluation, message, **values)
    message = N_("%(kept)d %% of general ability are left, at least %(least)d %% are wanted.")
    return _judged("general", State.PASS, evaluation, message, **values)


def _open(facts: Facts, code: str) -> Item:
    return item(code, Part.VERIFICATION, State.OPEN, f"/evaluations?run={facts.run.id}", _NOT_JUDGED)


def _judged(code: str, state: State, evaluation: int, message: str, **values: object) -> Item:
    return item(code, Part.VERIFICATION, state, f"/evaluations/{evaluation}", message, **values)
