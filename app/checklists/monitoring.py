"""Monitoring: both losses, answers read on the way, device memory."""

from collections.abc import Iterator
from statistics import fmean
from typing import Final

from app.checklists.facts import Facts
from app.checklists.items import Item, Part, State, item
from app.diagnosis import Finding, FindingCode
from app.files import gigabytes
from app.sentences import N_

# Above this share of the memory a longer sample may be too much.
_TIGHT: Final = 0.9
_OF_ANSWERS: Final = (FindingCode.PARROTING, FindingCode.LOSS_OF_DIVERSITY)


def monitoring_items(facts: Facts) -> Iterator[Item]:
    """The third section."""
    yield _train_loss(facts)
    yield _eval_loss(facts)
    yield _vibe_check(facts)
    yield _memory(facts)


def _found(facts: Facts, code: str, finding: Finding) -> Item:
    return Item(code, Part.MONITORING, State.FAIL, finding.sentence, f"{facts.page}#finding-{finding.code}")


def _train_loss(facts: Facts) -> Item:
    link = f"{facts.page}#loss"
    for finding in facts.findings:
        if finding.curve == "loss" and finding.code not in _OF_ANSWERS:
            return _found(facts, "train_loss", finding)
    stretches = facts.record.stretches()
    losses = [loss for _step, loss in (stretches[1] if stretches else facts.record).points]
    if len(losses) < 2:
        return item(
            "train_loss", Part.MONITORING, State.OPEN, link, N_("There are too few points to see anything.")
        )
    values = {"first": f"{losses[0]:.3f}", "last": f"{losses[-1]:.3f}", "points": len(losses)}
    third = max(1, len(losses) // 3)
    if fmean(losses[-third:]) >= fmean(losses[:third]):
        message = N_("From %(first)s to %(last)s over %(points)d points: it has not fallen.")
        state = State.WARN if facts.is_over else State.OPEN
        return item("train_loss", Part.MONITORING, state, link, message, **values)
    message = N_("From %(first)s to %(last)s over %(points)d points, without a finding.")
    return item("train_loss", Part.MONITORING, State.PASS, link, message, **values)


def _eval_loss(facts: Facts) -> Item:
    link = f"{facts.page}#loss"
    for finding in facts.findings:
        if finding.curve == "eval_loss" and finding.code not in _OF_ANSWERS:
            return _found(facts, "eval_loss", finding)
    if not facts.version.validation_count:
        message = N_("Nothing is held out, so nobody can see whether the model learns or memorises.")
        return item("eval_loss", Part.MONITORING, State.FAIL, link, message)
    losses = [(point.loss, point.step) for point in facts.record.evals if point.loss is not None]
    if len(losses) < 2:
        message = N_("It was measured less than twice: measure it more often to see it turn.")
        if not facts.is_over:
            message = N_("It was measured less than twice so far.")
        return item("eval_loss", Part.MONITORING, State.WARN if facts.is_over else State.OPEN, link, message)
    best, step = min(losses)
    values = {"first": f"{losses[0][0]:.3f}", "best": f"{best:.3f}", "step": step, "count": len(losses)}
    if step == losses[0][1]:
        message = N_(
            "Of %(count)d measurements none is below the first, %(first)s: nothing was learnt that holds elsewhere."
        )
        return item("eval_loss", Part.MONITORING, State.WARN, link, message, **values)
    message = N_("From %(first)s to %(best)s at step %(step)d, measured %(count)d times.")
    return item("eval_loss", Part.MONITORING, State.PASS, link, message, **values)


def _vibe_check(facts: Facts) -> Item:
    link = f"{facts.page}#run-samples"
    for finding in facts.findings:
        if finding.code in _OF_ANSWERS:
            return _found(facts, "vibe_check", finding)
    rounds, prompts = len(facts.samples.rounds), len(facts.samples.prompts)
    if not rounds:
        message = N_("No answers were made on the way: choose some sample prompts.")
        if not facts.is_over and facts.run.config.sample_count:
            message = N_("No answers were made so far: they come with the measurements.")
        return item("vibe_check", Part.MONITORING, State.WARN if facts.is_over else State.OPEN, link, message)
    message = N_(
        "%(prompts)d prompts were answered at %(rounds)d steps: read whether the answers get better."
    )
    return item("vibe_check", Part.MONITORING, State.PASS, link, message, prompts=prompts, rounds=rounds)


def _memory(facts: Facts) -> Item:
    link = f"{facts.page}#memory"
    point, result = facts.newest_point, facts.run.result
    peak = result.peak_memory_bytes if result else None
    # Until the end is known, what was in use last.
    used = peak or (point.get("memory_bytes") if point else None)
    if used is None:
        message = N_("Memory was not measured.") if facts.is_over else N_("Memory was not measured so far.")
        return item("device_memory", Part.MONITORING, State.OPEN, link, message)
    total = (
        (point.get("device_memory_total_bytes") or point.get("host_memory_total_bytes")) if point else None
    )
    if total is None:
        message = N_("%(size)s GB at the peak.")
        return item("device_memory", Part.MONITORING, State.PASS, link, message, size=gigabytes(used))
    message = N_("%(size)s GB at the peak, of %(total)s GB.")
    state = State.WARN if used > _TIGHT * total else State.PASS
    return item(
        "device_memory", Part.MONITORING, state, link, message, size=gigabytes(used), total=gigabytes(total)
    )
