"""One conversation as its pages show it, and the answers that all of their routes give.

Every change carries the version the person saw. A stale one is answered with both texts, never with a lost one.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Depends, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlmodel import Session

from app.accounts.access import CurrentActor
from app.accounts.permissions import Permission
from app.accounts.service import Actor
from app.conversations import revisions, service
from app.conversations.assigning import names_of, workers
from app.conversations.comments import comments_of
from app.conversations.conflicts import Theirs
from app.conversations.filter_params import Filter, FilterParams
from app.conversations.labels import label_words
from app.conversations.listing import Listing
from app.conversations.models import Conversation
from app.core.errors import Conflict, StudioError
from app.core.i18n import gettext
from app.core.templating import is_htmx, render, toast
from app.core.web import Db
from app.datasets.archives import is_archived
from app.dialogue.labels import LABELS


@dataclass(frozen=True)
class ConversationView:
    """What one request has: its transaction, its person, the conversation, and the list that it was opened from."""

    request: Request
    session: Session
    actor: Actor
    conversation_id: int
    params: FilterParams

    def load(self) -> Conversation:
        """The conversation as it is stored now."""
        return service.require_conversation(self.session, self.conversation_id)

    def context(self, **more: Any) -> dict[str, Any]:
        """Context of the page and of its fragments."""
        conversation = self.load()
        where = self.params.within(conversation.dataset_id)
        read_only = is_archived(self.session, conversation.dataset_id)
        can_review = not read_only and self.actor.may(Permission.CONVERSATION_REVIEW)
        whose = conversation.assigned_to_user_id
        return {
            "conversation": conversation,
            "base": f"/conversations/{conversation.id}",
            "way": where.query_string(),
            "where": where,
            "words": label_words(),
            "lengths": LABELS,
            "history": revisions.history(self.session, self.conversation_id),
            "comments": comments_of(self.session, conversation),
            "workers": workers(self.session) if can_review else [],
            "assigned_to": names_of(self.session, [whose]).get(whose, "") if whose else "",
            "last_reasons": revisions.last_reasons(self.session, self.actor.user_id) if can_review else [],
            "read_only": read_only,
            "can_review": can_review,
            "oob": False,
            "parts": (),
            "focus": None,
            "error": None,
            **more,
        }

    def page(self, *, status: int = 200, error: str | None = None) -> HTMLResponse:
        """The whole page."""
        context = self.context(error=error)
        context["place"] = Listing(self.session, context["where"]).place_of(context["conversation"])
        return render(self.request, "conversations/page.html", context, status=status)

    def changed(
        self, *parts: str, focus: int | None = None, headers: dict[str, str] | None = None
    ) -> Response:
        """What changed, as fragments for htmx; without it, the page again."""
        if not is_htmx(self.request):
            way = self.params.within(self.load().dataset_id).query_string()
            anchor = f"#turn-{focus + 1}" if focus is not None else ""
            return RedirectResponse(f"/conversations/{self.conversation_id}{way}{anchor}", status_code=303)
        context = self.context(oob=True, parts=parts, focus=focus)
        response = render(self.request, "conversations/_changed.html", context)
        response.headers.update(headers or {})
        return response

    def conflict(
        self,
        error: Conflict,
        kind: Literal["text", "labels", "action"],
        *,
        turn: int | None = None,
        mine: str | dict[str, str] | None = None,
        theirs: Theirs | None = None,
    ) -> HTMLResponse:
        """Both sides beside each other. Nothing of the refused change stays."""
        self.session.rollback()
        context = self.context(message=error.translated(), kind=kind, turn=turn, mine=mine, theirs=theirs)
        if not is_htmx(self.request):
            return render(self.request, "conversations/conflict.html", context, status=409)
        response = render(self.request, "conversations/_conflict.html", context, status=409)
        response.headers.update({"HX-Retarget": "#conflict", "HX-Reswap": "innerHTML"})
        return response

    def refused(self, error: StudioError) -> Response:
        """htmx shows the sentence; a plain form gets the page back with the sentence on top."""
        if is_htmx(self.request):
            raise error
        self.session.rollback()
        return self.page(status=error.status, error=error.translated())


def _view(
    request: Request, session: Db, actor: CurrentActor, conversation_id: int, params: Filter
) -> ConversationView:
    return ConversationView(request, session, actor, conversation_id, params)


View = Annotated[ConversationView, Depends(_view)]
# The version that the person saw.
Version = Annotated[int, Form(ge=1)]


def told_of_others() -> dict[str, str]:
    """Headers of an answer to somebody who changed one part while others changed other parts."""
    return toast(gettext("Somebody else changed other parts meanwhile: you see them now."), kind="info")
