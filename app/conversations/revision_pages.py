"""The history of a conversation on its page: what a change changed, and the way back."""

from fastapi import Response
from fastapi.responses import HTMLResponse

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.conversations import revisions, service
from app.conversations.comparing import compare
from app.conversations.labels import label_words
from app.conversations.view import Version, View
from app.core.errors import Conflict, StudioError
from app.core.i18n import gettext
from app.core.routing import Router
from app.core.templating import is_htmx, render, toast

router = Router(include_in_schema=False)


@router.get("/conversations/{conversation_id}/history/{wanted}")
@needs(Permission.CONVERSATION_READ)
def revision_page(view: View, wanted: int) -> HTMLResponse:
    """What one change changed, and what going back to it would; htmx asks for that alone."""
    conversation = view.load()
    found = revisions.require_revision(view.session, view.conversation_id, wanted)
    before = revisions.revision_before(view.session, view.conversation_id, wanted)
    now = revisions.snapshot_of(conversation)
    shown = {
        "revision": found,
        "changed": compare(before.snapshot, found.snapshot) if before else None,
        "restoring": compare(now, found.snapshot) if wanted != conversation.version else None,
    }
    if is_htmx(view.request):
        return render(view.request, "conversations/_revision.html", {**shown, "words": label_words()})
    return render(view.request, "conversations/revision.html", view.context(**shown))


@router.post("/conversations/{conversation_id}/restore/{wanted}", response_model=None)
@needs(Permission.CONVERSATION_EDIT)
def restore(view: View, actor: CurrentActor, wanted: int, version: Version) -> Response:
    """Go back to an older version; what is there now stays in the history."""
    try:
        service.restore(view.session, view.conversation_id, version, actor, wanted)
    except Conflict as error:
        return view.conflict(error, kind="action")
    except StudioError as error:
        return view.refused(error)
    return view.changed("turns", "labels", headers=toast(gettext("Restored.")))
