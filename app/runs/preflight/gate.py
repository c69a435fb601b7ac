"""Whether a run may start by its pre-flight: errors refuse it, and so do warnings that nobody has accepted by name."""

from collections.abc import Collection, Sequence
from typing import Final

from app.accounts.who import Who
from app.core.database import utc_now
from app.core.errors import Conflict, ErrorDetail, Invalid
from app.core.i18n import say
from app.runs.preflight.documents import Accepted, LookedAt, PreflightRecord
from app.runs.preflight.items import Item, Level, Name
from app.sentences import N_

# For programs, which find the names in `errors`.
WARNINGS: Final = "warnings"
_WAITING: Final = N_(
    "The start waits for warnings to be accepted by name: %(names)s. %(first)s Accept what you have looked at: a tick on the "
    "page, accepted_warnings in REST, --accept NAME on the command line."
)


def waiting(items: Sequence[Item], accepted: Collection[str], override_reason: str = "") -> list[Item]:
    """The warnings that nobody has accepted. A red mask check is accepted by its reason."""
    taken = set(accepted) | ({Name.MASK_CHECK} if override_reason.strip() else set())
    return [one for one in items if one.level is Level.WARNING and one.name not in taken]


def settle(
    items: Sequence[Item], accepted: Collection[str], who: Who, override_reason: str = ""
) -> PreflightRecord:
    """What stays on the run. Raises Conflict for an error, or for warnings that are not accepted, which `details` name;
    Invalid for a name that no item has.
    """
    require_names(accepted)
    refused = next((one for one in items if one.level is Level.ERROR), None)
    if refused is not None:
        raise Conflict(refused.sentence, field=refused.field)
    left = waiting(items, accepted, override_reason)
    if left:
        details: list[ErrorDetail] = [{"field": one.name, "message": say(one.sentence)} for one in left]
        raise Conflict(
            _WAITING,
            field="accepted_warnings",
            code=WARNINGS,
            details=details,
            names=", ".join(one.name for one in left),
            first=" ".join(say(one) for one in (left[0].sentence, left[0].helps) if one),
        )
    return PreflightRecord(
        items=[LookedAt(name=one.name.value, level=one.level.value, sentence=one.sentence) for one in items],
        accepted=[_taken(one, who) for one in items if one.level is Level.WARNING],
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
