"""Pages of mask previews: of a conversation, with flags tried and saved."""

from dataclasses import replace
from typing import Annotated

from fastapi import Form, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlmodel import Session

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.conversations.filter_params import Filter, FilterParams
from app.conversations.listing import Listing
from app.conversations.service import edit_messages, require_conversation
from app.core.database import reading, transaction
from app.core.errors import Conflict
from app.core.i18n import gettext
from app.core.routing import Router
from app.core.slow_work import apart
from app.core.templating import is_htmx, toast
from app.core.web import AppEngine
from app.mask_settings.choices import Choices, PreviewFields, PreviewForm, read_choices
from app.previews import answer
from app.previews.service import PREVIEWS
from app.previews.subjects import Subject

router = Router(include_in_schema=False)


@router.get("/conversations/{conversation_id}/mask")
@needs(Permission.MASK_PREVIEW)
@apart(PREVIEWS)
def mask_page(
    request: Request,
    engine: AppEngine,
    conversation_id: int,
    fields: Annotated[PreviewFields, Query()],
    params: Filter,
) -> HTMLResponse:
    """The preview under the settings in the address."""
    with reading(engine) as session:
        return _answer(request, session, conversation_id, fields, params)


@router.post("/conversations/{conversation_id}/mask")
@needs(Permission.MASK_PREVIEW)
@apart(PREVIEWS)
def change_settings(
    request: Request,
    engine: AppEngine,
    conversation_id: int,
    fields: Annotated[PreviewForm, Form()],
    params: Filter,
) -> HTMLResponse:
    """The preview under the form's settings. Reads only; a form, since a template is too long for an address."""
    with reading(engine) as session:
        return _answer(request, session, conversation_id, fields, params)


@router.post("/conversations/{conversation_id}/mask/json", response_model=None)
@needs(Permission.MASK_PREVIEW)
@apart(PREVIEWS)
def sample_as_json(
    request: Request,
    engine: AppEngine,
    conversation_id: int,
    fields: Annotated[PreviewForm, Form()],
) -> Response:
    """The shown sample as `sft-studio masks preview --json` prints it."""
    with reading(engine) as session:
        subject = Subject.of_conversation(require_conversation(session, conversation_id))
        return answer.sample_as_json(session, subject, fields)


@router.post("/conversations/{conversation_id}/mask/flags", response_model=None)
@needs(Permission.CONVERSATION_EDIT)
@apart(PREVIEWS)
def save_flags(
    request: Request,
    engine: AppEngine,
    actor: CurrentActor,
    conversation_id: int,
    fields: Annotated[PreviewForm, Form()],
    params: Filter,
) -> Response:
    """Store the flags that were tried, on exactly the version that was shown."""
    choices = read_choices(fields, f"/conversations/{conversation_id}/mask")
    version = int(fields.version) if fields.version.isascii() and fields.version.isdigit() else 0
    try:
        with transaction(engine) as session:
            stored = edit_messages(
                session, conversation_id, version, actor, "train_flags", choices.apply_flags
            )
    except Conflict as error:
        # Somebody else was faster: the newest dialogue with the same flags on it, and a word about it.
        with reading(engine) as session:
            response = _answer(request, session, conversation_id, fields, params, notice=error.translated())
        response.status_code = 200 if is_htmx(request) else error.status
        return response
    if not is_htmx(request):
        way = params.within(stored.dataset_id).query_string()
        return RedirectResponse(replace(choices, flags={}, token=None, way=way).address(), status_code=303)
    with reading(engine) as session:
        response = _answer(request, session, conversation_id, fields.model_copy(update={"flags": ""}), params)
    response.headers.update(toast(gettext("The train flags are saved to the conversation.")))
    return response


def _answer(
    request: Request,
    session: Session,
    conversation_id: int,
    fields: PreviewFields,
    params: FilterParams,
    *,
    notice: str | None = None,
) -> HTMLResponse:
    conversation = require_conversation(session, conversation_id)
    where = params.within(conversation.dataset_id)
    place = Listing(session, where).place_of(conversation)

    def neighbours(choices: Choices) -> dict[str, str | None]:
        """The same choices on the conversations before and after this one in its list."""
        return {
            name: choices.address(path=f"/conversations/{other}/mask", flags={}, token=None, sample=0)
            if other
            else None
            for name, other in (("before_href", place.previous_id), ("after_href", place.next_id))
        }

    return answer.answer_preview(
        request,
        session,
        Subject.of_conversation(conversation),
        fields,
        way=where.query_string(),
        notice=notice,
        context=neighbours,
    )
