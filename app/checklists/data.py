"""Data: format, template, quality, mix, amount."""

from collections.abc import Iterator
from typing import Final

from app.checklists.facts import Facts
from app.checklists.items import Item, Part, State, item
from app.runs.mixing import MixedIn
from app.runs.preflight.items import Level, Name
from app.scoring.scores import RETENTION_WARNING
from app.sentences import N_

_FEW: Final = 1_000
_MANY: Final = 50_000
# A loss on general conversations that is so many times what it was is more than noise.
_FORGETS: Final = 1.02


def data_items(facts: Facts) -> Iterator[Item]:
    """The first section."""
    yield _format(facts)
    yield _template(facts)
    yield _quality(facts)
    yield _mix(facts)
    if facts.mixed_in is not None:
        yield from _of_mixed(facts, facts.mixed_in)
    yield _amount(facts)


def _format(facts: Facts) -> Item:
    report, link = facts.check.report, f"/mask-checks/{facts.check.id}"
    if report is None:
        return item("format", Part.DATA, State.OPEN, link, N_("The mask check has no report."))
    figures = {"count": report.conversations, "refused": report.refused, "cut": report.truncated_samples}
    if report.refused:
        message = N_("%(refused)d of %(count)d conversations could not be masked exactly and are left out.")
        return item("format", Part.DATA, State.WARN, link, message, **figures)
    if report.truncated_samples:
        message = N_(
            "All %(count)d conversations were read and masked; %(cut)d samples are cut at the length limit."
        )
        return item("format", Part.DATA, State.WARN, link, message, **figures)
    message = N_("All %(count)d conversations were read and masked, none is cut.")
    return item("format", Part.DATA, State.PASS, link, message, **figures)


def _template(facts: Facts) -> Item:
    link, report = f"/mask-checks/{facts.check.id}", facts.check.report
    values = {"model": facts.model.name, "end": facts.model.info.end_of_turn or "–"}
    if facts.run.override_reason:
        message = N_("The mask check for %(model)s is red and was overridden: %(reason)s")
        return item(
            "template", Part.DATA, State.FAIL, link, message, **values, reason=facts.run.override_reason
        )
    message = N_(
        "Rendered by the chat template of %(model)s, end of turn %(end)s; the mask check is green, token by token."
    )
    if report and report.rewritten_turns:
        message = N_("The chat template of %(model)s rewrites %(turns)d turns; the mask check is green.")
        return item("template", Part.DATA, State.WARN, link, message, **values, turns=report.rewritten_turns)
    return item("template", Part.DATA, State.PASS, link, message, **values)


def _quality(facts: Facts) -> Item:
    version, report = facts.version, facts.check.report
    count = len(report.suspicious) if report else 0
    values = {"count": version.conversation_count, "odd": count}
    if count:
        link = f"/mask-checks/{facts.check.id}"
        message = N_("All %(count)d conversations were approved by people; %(odd)d deserve another look.")
        return item("quality", Part.DATA, State.WARN, link, message, **values)
    link = f"/datasets/{facts.dataset_id}/versions#version-{version.number}"
    return item(
        "quality",
        Part.DATA,
        State.PASS,
        link,
        N_("All %(count)d conversations were approved by people, and none looks odd."),
        **values,
    )


def _mix(facts: Facts) -> Item:
    """Whether something keeps general ability in view: what was lost of it is measured."""
    link = f"/datasets/{facts.dataset_id}/versions#version-{facts.version.number}"
    told = {name: facts.version.coverage.get("outcome", {}).get(name, 0) for name in ("won", "lost", "open")}
    kept = [one.retention.value for _id, one in facts.of_kind("general") if one.retention]
    known = [value for value in kept if value is not None]
    if facts.mixed_in is not None:
        return _mixed_in(facts, facts.mixed_in, min(known, default=None))
    if not known:
        message = N_(
            "%(won)d won, %(lost)d lost, %(open)d open. Nothing says what this mix does to general ability: evaluate with a "
            "suite of general ability."
        )
        return item("mix", Part.DATA, State.OPEN, link, message, **told)
    if min(known) < RETENTION_WARNING:
        message = N_(
            "%(won)d won, %(lost)d lost, %(open)d open. Only %(kept)d %% of general ability are left: mix in general conversations, 70:30."
        )
        return item("mix", Part.DATA, State.WARN, link, message, **told, kept=round(100 * min(known)))
    message = N_("%(won)d won, %(lost)d lost, %(open)d open. General ability was kept with it: %(kept)d %%.")
    return item("mix", Part.DATA, State.PASS, link, message, **told, kept=round(100 * min(known)))


def _mixed_in(facts: Facts, found: MixedIn, kept: float | None) -> Item:
    """What share is general, and whether that was enough."""
    link = f"/datasets/{found.dataset.id}/versions#version-{found.version.number}"
    mixed, config = facts.run.result.mix if facts.run.result else None, facts.run.config
    share = mixed.share if mixed else config.mix_share
    values = {"share": round(100 * share), "name": found.dataset.name, "number": found.version.number}
    if kept is not None and kept < RETENTION_WARNING:
        message = N_(
            "%(share)d %% of the conversations are mixed in (%(name)s v%(number)d), and only %(kept)d %% of general ability are "
            "left: raise mix_share."
        )
        return item("mix", Part.DATA, State.WARN, link, message, **values, kept=round(100 * kept))
    before, after = (mixed.loss_before, mixed.loss_after) if mixed else (None, None)
    if before is not None and after is not None and after > before * _FORGETS:
        message = N_(
            "%(share)d %% of the conversations are mixed in (%(name)s v%(number)d), and yet the loss on what it holds out rose "
            "from %(before)s to %(after)s: raise mix_share."
        )
        losses = {"before": f"{before:.3f}", "after": f"{after:.3f}"}
        return item("mix", Part.DATA, State.WARN, link, message, **values, **losses)
    if kept is not None:
        message = N_(
            "%(share)d %% of the conversations are mixed in (%(name)s v%(number)d). General ability was kept with it: %(kept)d %%."
        )
        return item("mix", Part.DATA, State.PASS, link, message, **values, kept=round(100 * kept))
    message = N_("%(share)d %% of the conversations are mixed in (%(name)s v%(number)d) against forgetting.")
    return item("mix", Part.DATA, State.PASS, link, message, **values)


def _of_mixed(facts: Facts, found: MixedIn) -> Iterator[Item]:
    """As the pre-flight found it; how much is held out is known of every version."""
    page, link = (
        f"{facts.page}#preflight",
        f"/datasets/{found.dataset.id}/versions#version-{found.version.number}",
    )
    record = facts.run.preflight
    stood = {one.name: one for one in record.items} if record else {}
    for code in (Name.MIX_APPROVALS.value, Name.MIX_LEAK.value):
        if code in stood:
            state = State.PASS if stood[code].level == Level.OK else State.WARN
            yield Item(code, Part.DATA, state, stood[code].sentence, page)
        else:
            message = N_("Nobody looked when this run was started.")
            yield item(code, Part.DATA, State.OPEN, page, message)
    values = {"train": found.version.train_count, "held": found.version.validation_count}
    if found.version.validation_count:
        message = N_("%(train)d conversations to draw from, %(held)d held out.")
        yield item("mix_held_out", Part.DATA, State.PASS, link, message, **values)
    else:
        message = N_("%(train)d conversations to draw from, none held out: no loss tells what is forgotten.")
        yield item("mix_held_out", Part.DATA, State.WARN, link, message, **values)


def _amount(facts: Facts) -> Item:
    version = facts.version
    link = f"/datasets/{facts.dataset_id}/versions#version-{version.number}"
    values = {"train": version.train_count, "held": version.validation_count}
    if version.train_count < _FEW:
        message = N_(
            "%(train)d conversations to train on, %(held)d held out: fewer than 1,000, which are soon known by heart."
        )
        return item("amount", Part.DATA, State.WARN, link, message, **values)
    if version.train_count > _MANY:
        message = N_(
            "%(train)d conversations to train on, %(held)d held out: more than 50,000, of which few epochs are enough."
        )
        return item("amount", Part.DATA, State.PASS, link, message, **values)
    message = N_("%(train)d conversations to train on, %(held)d held out: within the usual 1,000 to 50,000.")
    return item("amount", Part.DATA, State.PASS, link, message, **values)
