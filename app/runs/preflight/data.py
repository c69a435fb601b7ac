"""Of the data: the mask check and who looked at it, approvals, what is held out, what is cut."""

from collections.abc import Iterator, Sequence
from typing import Final

from app.core.errors import Conflict, Invalid, StudioError
from app.jobs.models import Job
from app.mask_checks.models import MaskCheck
from app.mask_checks.report import ReportLeak
from app.masking import Leak
from app.runs.preflight.facts import Crossings, Facts
from app.runs.preflight.items import Change, Item, Level, Name, ok, warning
from app.sentences import N_, Sentence

RED: Final = N_(
    "The mask check is red, so the run does not start. Fix the conversations, or override with a reason."
)
_LOOK: Final = N_("Look at the mask check and confirm it before starting.")
# Of leaks, so many are named.
_NAMED: Final = 3


def data_items(facts: Facts) -> Iterator[Item]:
    """In the order of the list."""
    if facts.confirmed is not None:
        yield _confirmed(facts)
    yield from _approvals(Name.APPROVALS, facts)
    yield _held_out(facts)
    if facts.mixed_in is not None:
        yield from _mixed_items(facts, facts.mixed_in)


def _mixed_items(facts: Facts, mixed_in: Facts) -> Iterator[Item]:
    """Of what is mixed in, and of both together."""
    yield from _approvals(Name.MIX_APPROVALS, mixed_in)
    if facts.ground.crossings is not None:
        yield _crossings(facts, mixed_in, facts.ground.crossings)
    yield _mixed_held_out(mixed_in)


def checked_items(facts: Facts) -> Iterator[Item]:
    """What a mask check tells, of each dataset."""
    yield _mask_check(facts)
    if facts.report is not None:
        yield _leak(facts)
        yield _truncated(facts)


def check_refusal(check: MaskCheck, job: Job) -> StudioError | None:
    """Why nothing can be started on this check, whoever confirms it; None where it can."""
    if check.passed is None:
        if job.failure:
            return Conflict(N_("The mask check could not be done: %(reason)s"), reason=job.error_text)
        if job.is_final:
            return Conflict(N_("The mask check was stopped before it was done. Ask for it again."))
        return Conflict(N_("The mask check is still running. Start when it is green."))
    if not check.arrays_key or not check.arrays_hash:
        return Conflict(N_("The mask check found nothing that can be trained. Look at its report."))
    return None


def unconfirmed() -> StudioError:
    """Nobody says that they have looked."""
    return Invalid(_LOOK, field="confirmed")


def red_without_reason() -> StudioError:
    """A red check is trained on with a reason alone."""
    return Conflict(RED, field="override_reason")


def error_item(name: Name, error: StudioError, link: str | None = None) -> Item:
    """What refuses a start, as an item."""
    return Item(name, Level.ERROR, error.sentence, link, field=error.field)


def _mask_check(facts: Facts) -> Item:
    check = facts.check
    if check is None or facts.job is None:
        message = N_("The masks were not checked yet with these data, this model and these settings.")
        return Item(Name.MASK_CHECK, Level.ERROR, Sentence(message), field="mask_check_id")
    refusal = check_refusal(check, facts.job)
    if refusal is not None:
        return error_item(Name.MASK_CHECK, refusal, facts.check_page)
    if check.passed:
        reports = [one.report for one in (facts, facts.mixed_in) if one and one.report]
        values = {
            "count": sum(report.conversations for report in reports),
            "trained": sum(report.trained for report in reports),
        }
        message = N_("Green: %(count)d conversations token by token, %(trained)d trained tokens.")
        return ok(Name.MASK_CHECK, message, facts.check_page, **values)
    if not facts.override_reason.strip():
        return error_item(Name.MASK_CHECK, red_without_reason(), facts.check_page)
    sentence = Sentence.of(
        N_("The mask check is red and is trained on all the same: %(reason)s"),
        reason=facts.override_reason.strip(),
    )
    helps = N_("The reason stands for the acceptance, and stays on the run.")
    return warning(Name.MASK_CHECK, sentence, helps=helps, link=facts.check_page)


def _confirmed(facts: Facts) -> Item:
    if facts.confirmed:
        return ok(Name.CONFIRMED, N_("Whoever starts it has looked at the masks."), facts.check_page)
    return error_item(Name.CONFIRMED, unconfirmed(), facts.check_page)


def _approvals(name: Name, facts: Facts) -> Iterator[Item]:
    fate, link = facts.ground.own, f"/datasets/{facts.version.dataset_id}"
    if fate.unread is not None:
        helps = N_("Have the file put back from a backup, or freeze again.")
        yield warning(name, fate.unread, helps=helps, link=facts.version_page)
        return
    if fate.since is None:
        return
    if fate.since.is_nothing:
        message = N_("All %(count)d conversations are as they were approved.")
        yield ok(name, message, link, count=facts.version.conversation_count)
        return
    message = N_(
        "Since version %(number)d was frozen, of its conversations %(changed)d were changed in words or labels, %(unapproved)d "
        "are not approved any more, and %(gone)d are gone. The run would train what they were."
    )
    values = vars(fate.since) | {"number": facts.version.number}
    helps = N_("Freeze a new version and train that.")
    yield warning(name, Sentence.of(message, **values), helps=helps, link=link)


def _mixed_held_out(facts: Facts) -> Item:
    link, held = facts.version_page, facts.version.validation_count
    if held:
        message = N_("%(held)d conversations of it are held out, %(train)d can be drawn from.")
        return ok(Name.MIX_HELD_OUT, message, link, held=held, train=facts.version.train_count)
    message = N_("Nothing of it is held out: no loss tells whether the run forgets what is general.")
    helps = N_("Freeze a version of it that holds some out.")
    return warning(Name.MIX_HELD_OUT, Sentence(message), helps=helps, link=link)


def _crossings(facts: Facts, mixed_in: Facts, found: Crossings) -> Item:
    if found.unread is not None:
        helps = N_("Ask for the mask check again.")
        return warning(Name.MIX_LEAK, found.unread, helps=helps, link=facts.check_page)
    if not found.leaks:
        message = N_("No conversation that one dataset holds out stands nearly word for word in the other.")
        return ok(Name.MIX_LEAK, message, mixed_in.check_page)
    message = N_(
        "%(count)d conversations that one of the two datasets holds out stand nearly word for word among those that the other "
        "trains: %(pairs)s. The held-out loss will look better than the model is."
    )
    sentence = Sentence.of(message, count=len(found.leaks), pairs=_pairs(found.leaks))
    helps = N_("Discard one of each pair, then freeze again.")
    link = f"/conversations/{found.leaks[0].conversation_id}"
    return warning(Name.MIX_LEAK, sentence, helps=helps, link=link)


def _pairs(leaks: Sequence[Leak | ReportLeak]) -> str:
    return ", ".join(
        f"{one.conversation_id} ≈ {one.trained_id} ({round(100 * one.share)} %)" for one in leaks[:_NAMED]
    )


def _held_out(facts: Facts) -> Item:
    link, held = facts.version_page, facts.version.validation_count
    if held:
        message = N_("%(held)d conversations are held out, %(train)d are trained on.")
        return ok(Name.HELD_OUT, message, link, held=held, train=facts.version.train_count)
    message = N_("Nothing is held out: no held-out loss, no early stop, and nobody can see it overfit.")
    helps = N_("Freeze a version that holds some out.")
    return warning(Name.HELD_OUT, Sentence(message), helps=helps, link=link)


def _leak(facts: Facts) -> Item:
    report = facts.report
    assert report is not None
    if report.leaked is None:
        message = N_(
            "This check was made by an earlier program, which did not look for conversations in both splits."
        )
        helps = N_("Ask for the mask check again.")
        return warning(Name.LEAK, Sentence(message), helps=helps, link=facts.check_page)
    if not report.leaked:
        message = N_("No held-out conversation stands nearly word for word among the trained ones.")
        return ok(Name.LEAK, message, facts.check_page)
    first = report.leaks[0]
    message = N_(
        "%(count)d of %(held)d held-out conversations stand nearly word for word among the trained ones: %(pairs)s. The held-out "
        "loss will look better than the model is."
    )
    values = {"count": report.leaked, "held": facts.version.validation_count, "pairs": _pairs(report.leaks)}
    helps = N_("Discard one of each pair, then freeze again.")
    return warning(
        Name.LEAK, Sentence.of(message, **values), helps=helps, link=f"/conversations/{first.conversation_id}"
    )


def _truncated(facts: Facts) -> Item:
    report = facts.report
    assert report is not None
    if not report.truncated_trained_tokens:
        message = (
            N_("%(cut)d samples are cut at the length limit, before which all that is trained ends.")
            if report.truncated_samples
            else N_("No sample is cut; the longest has %(longest)d tokens.")
        )
        values = {"cut": report.truncated_samples, "longest": report.longest}
        return ok(Name.TRUNCATED, message, facts.check_page, **values)
    limit, reads = report.settings.max_length or 0, facts.model.info.context_length or 0
    message = N_(
        "%(cut)d of %(samples)d samples are cut at %(limit)d tokens: %(tokens)d tokens that should be trained are lost, ends of "
        "answers among them."
    )
    values = {
        "cut": report.truncated_samples,
        "samples": report.samples,
        "limit": limit,
        "tokens": report.truncated_trained_tokens,
    }
    change = Change("max_length", str(reads)) if 0 < limit < reads else None
    helps = (
        N_("Raise the length limit, which takes memory.")
        if change
        else N_("Cut long conversations into windows.")
    )
    return warning(
        Name.TRUNCATED, Sentence.of(message, **values), helps=helps, link=facts.check_page, change=change
    )
