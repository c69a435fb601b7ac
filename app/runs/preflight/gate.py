"""Whether a run may start by its pre-flight: errors refuse it, and so do warnings that nobody has accepted by name."""

from collections.abc import Collection, Sequence
from typing import Final

from app.accounts.who import Who
from app.core.database import utc_now
from app.core.errors import Conflict, ErrorDetail, Invalid
from app.core.i18n import gap, say
from app.runs.preflight.documents import Accepted, LookedAt, PreflightRecord
from app.runs.preflight.items import Item, Level, Name
from app.sentences import N_

# For programs, which find the names in `errors`.
WARNINGS: Final = "warnings"
_WAITING: Final = N_(
    "The start waits for warnings to be accepted by name: %(names)s. %(first)s Accept what you have looked at: a tick on the "
    "page, accepted_warnings in REST, --accept NAME on the command line."
)


def waiting(
    items: Sequence[Item],
    accepted: Collection[str],
    override_reason: str = "",
    before: PreflightRecord | None = None,
) -> list[Item]:
    """The warnings that nobody has accepted, now or `before` with the same evidence. A red mask check is accepted by its
    reason.
    """
    taken = set(accepted) | ({Name.MASK_CHECK} if override_reason.strip() else set())
    return [
        one
        for one in items
        if one.level is Level.WARNING and one.name not in taken and taken_before(one, before) is None
    ]


def taken_before(item: Item, before: PreflightRecord | None) -> Accepted | None:
    """Who accepted this very warning, with these numbers, when an earlier run was started; None where nobody did."""
    found = before.accepted if before else []
    return next((one for one in found if (one.name, one.sentence) == (item.name, item.sentence)), None)


def settle(
    items: Sequence[Item],
    accepted: Collection[str],
    who: Who,
    override_reason: str = "",
    before: PreflightRecord | None = None,
) -> PreflightRecord:
    """What stays on the run; what was accepted `before` stays with whoever did. Raises Conflict for an error, or for warnings
    that are not accepted, which `details` name; Invalid for a name that no item has.
    """
    refuse(items, accepted, override_reason, before)
    return PreflightRecord(
        items=[LookedAt(name=one.name.value, level=one.level.value, sentence=one.sentence) for one in items],
        accepted=[
            (None if one.name in accepted else taken_before(one, before)) or _taken(one, who)
            for one in items
            if one.level is Level.WARNING
        ],
    )


def refuse(
    items: Sequence[Item],
    accepted: Collection[str],
    override_reason: str = "",
    before: PreflightRecord | None = None,
) -> None:
    """Raises as `settle` does where a start is refused; `items` may be those of several runs, of which each warning is told once."""
    require_names(accepted)
    error = next((one for one in items if one.level is Level.ERROR), None)
    if error is not None:
        raise Conflict(error.sentence, field=error.field)
    left = waiting(items, accepted, override_reason, before)
    if not left:
        return
    told = dict.fromkeys((one.name.value, say(one.sentence)) for one in left)
    details: list[ErrorDetail] = [{"field": name, "message": message} for name, message in told]
    raise Conflict(
        _WAITING,
        field="accepted_warnings",
        code=WARNINGS,
        details=details,
        names=", ".join(dict.fromkeys(one.name.value for one in left)),
        first=gap().join(say(one) for one in (left[0].sentence, left[0].helps) if one),
    )


def require_names(accepted: Collection[str]) -> None:
    """Raises Invalid for a name that no item has: a script that accepts what does not exist is mistaken."""
    for name in accepted:
        if name not in set(Name):
            raise Invalid(
                N_("There is no warning “%(name)s”. There are: %(names)s."),
                field="accepted_warnings",
                name=str(name)[:80],
                names=", ".join(Name),
            )


def _taken(item: Item, who: Who) -> Accepted:
    return Accepted(
        name=item.name.value,
        sentence=item.sentence,
        by=who.name,
        by_user_id=who.user_id,
        by_token_id=who.token_id,
        at=utc_now(),
    )
