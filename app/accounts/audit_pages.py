"""The audit trail as a page, for administrators."""

from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import Query, Request
from fastapi.responses import HTMLResponse

from app.accounts import audit
from app.accounts.access import needs
from app.accounts.audit import AuditFilter
from app.accounts.permissions import Permission
from app.accounts.service import list_users
from app.core.routing import Router
from app.core.templating import render
from app.core.web import Db
from app.sentences import N_

router = Router(prefix="/audit", include_in_schema=False)
# Where the page of a subject is; those of other kinds have none.
_PAGES: Final = {
    "dataset": "/datasets/{}",
    "conversation": "/conversations/{}",
    "run": "/runs/{}",
    "evaluation": "/evaluations/{}",
}


@router.get("")
@needs(Permission.AUDIT_READ)
def audit_page(
    request: Request,
    session: Db,
    person: Annotated[str, Query(max_length=80)] = "",
    action: Annotated[str, Query(max_length=60)] = "",
    subject: Annotated[str, Query(max_length=120, title=N_("Object"))] = "",
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
) -> HTMLResponse:
    """Who did what, the newest first."""
    wanted = AuditFilter(person, action, subject)
    events = audit.find_events(session, wanted, before=before, limit=audit.PAGE + 1)
    more, events = len(events) > audit.PAGE, events[: audit.PAGE]
    asked = {"person": person, "action": action, "subject": subject}
    kept = {name: value for name, value in asked.items() if value}
    older = f"/audit?{urlencode({**kept, 'before': events[-1].id})}" if more else None
    newest = f"/audit?{urlencode(kept)}" if before is not None else None
    context = {
        "events": events,
        "words": audit.words_of,
        "href": _href,
        "wanted": wanted,
        "actions": [(one, audit.words_of(one)) for one in audit.known_actions(session)],
        "people": [(user.name, user.name) for user in list_users(session)],
        "newest": newest,
        "older": older,
    }
    return render(request, "accounts/audit.html", context)


def _href(action: str, subject: str) -> str | None:
    kind, _, number = subject.partition("/")
    # What was deleted has no page any more.
    number = number.partition(" ")[0]
    if kind not in _PAGES or not number.isdigit() or action.endswith((".delete", ".erase")):
        return None
    return _PAGES[kind].format(number)
