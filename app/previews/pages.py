"""Pages of mask previews: the preview of a conversation, trying flags and saving them, and the help page."""

import json
from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlmodel import Session

from app.accounts.access import Annotator, AnyActor
from app.base_models.service import ready_base_models
from app.conversations.filter_params import Filter, FilterParams
from app.conversations.filters import ConversationFilter
from app.conversations.listing import Listing
from app.conversations.models import Conversation
from app.conversations.service import edit_messages, require_conversation
from app.core.database import reading
from app.core.errors import Conflict, StudioError
from app.core.i18n import N_, get_locale, gettext
from app.core.templating import is_htmx, render, toast
from app.core.web import AppEngine, Db
from app.masking import CHECK_NAMES, Handling, MaskSettings, TrainOn
from app.previews import service
from app.previews.check_texts import CHECK_LABELS, CHECK_MEANINGS
from app.previews.choices import Choices, PreviewFields, PreviewForm, read_choices
from app.previews.example import EXAMPLE_MESSAGES, EXAMPLES
from app.previews.strip import rows_of
from app.previews.view import build_view

router = APIRouter(include_in_schema=False)

STRATEGIES: Final = {
    TrainOn.ASSISTANT: N_("Every assistant turn"),
    TrainOn.LAST_ASSISTANT: N_("Last assistant turn only"),
    TrainOn.CONTENT: N_("All text, no template tokens (experimental)"),
    TrainOn.ALL: N_("Everything, no mask (not recommended)"),
}
HANDLINGS: Final = {
    Handling.WHOLE: N_("Whole conversation"),
    Handling.PER_TURN: N_("One sample per assistant turn"),
    Handling.SLIDING_WINDOW: N_("Sliding windows"),
}


@router.get("/conversations/{conversation_id}/mask")
def mask_page(
    request: Request,
    engine: AppEngine,
    _actor: AnyActor,
    conversation_id: int,
    fields: Annotated[PreviewFields, Query()],
    params: Filter,
) -> HTMLResponse:
    """The preview under the settings in the address."""
    with reading(engine) as session:
        return _answer(request, session, conversation_id, fields, params)


@router.post("/conversations/{conversation_id}/mask")
def change_settings(
    request: Request,
    engine: AppEngine,
    _actor: AnyActor,
    conversation_id: int,
    fields: Annotated[PreviewForm, Form()],
    params: Filter,
) -> HTMLResponse:
    """The preview under the form's settings. Reads only; a form, since a template is too long for an address."""
    with reading(engine) as session:
        return _answer(request, session, conversation_id, fields, params)


@router.post("/conversations/{conversation_id}/mask/json", response_model=None)
def sample_as_json(
    engine: AppEngine, _actor: AnyActor, conversation_id: int, fields: Annotated[PreviewForm, Form()]
) -> Response:
    """The shown sample as `sft-studio masks preview --json` prints it."""
    with reading(engine) as session:
        conversation = require_conversation(session, conversation_id)
        choices = _with_model(session, read_choices(fields))
        masked = service.mask_messages(
            session,
            base_model_id=choices.base_model_id or 0,
            messages=choices.apply_flags(conversation.messages),
            settings=choices.settings,
            chat_template=choices.chat_template or None,
        )
        shown = service.contract_of(masked, min(choices.sample, len(masked.samples) - 1))
    return Response(json.dumps(shown, ensure_ascii=False), media_type="application/json")


@router.post("/conversations/{conversation_id}/mask/flags", response_model=None)
def save_flags(
    request: Request,
    session: Db,
    actor: Annotator,
    conversation_id: int,
    fields: Annotated[PreviewForm, Form()],
    params: Filter,
) -> Response:
    """Store the flags that were tried, on exactly the version that was shown."""
    choices = read_choices(fields)
    version = int(fields.version) if fields.version.isascii() and fields.version.isdigit() else 0
    try:
        stored = edit_messages(session, conversation_id, version, actor, "train_flags", choices.apply_flags)
    except Conflict as error:
        # Somebody else was faster: the newest dialogue with the same flags on it, and a word about it.
        session.rollback()
        response = _answer(request, session, conversation_id, fields, params, notice=error.translated())
        response.status_code = 200 if is_htmx(request) else error.status
        return response
    if not is_htmx(request):
        way = params.within(stored.dataset_id).query_string()
        address = replace(choices, flags={}, token=None, way=way).address(conversation_id)
        return RedirectResponse(address, status_code=303)
    response = _answer(request, session, conversation_id, fields.model_copy(update={"flags": ""}), params)
    response.headers.update(toast(gettext("The train flags are saved to the conversation.")))
    return response


def _with_model(session: Session, choices: Choices) -> Choices:
    """The first ready model where none is named."""
    if choices.base_model_id is None:
        ready = ready_base_models(session)
        return replace(choices, base_model_id=ready[0].id if ready else None)
    return choices


def _answer(
    request: Request,
    session: Session,
    conversation_id: int,
    fields: PreviewFields,
    params: FilterParams,
    *,
    notice: str | None = None,
) -> HTMLResponse:
    """The page, or for htmx the fragment; a refusal is shown in the same place with status 422."""
    conversation = require_conversation(session, conversation_id)
    where = params.within(conversation.dataset_id)
    view, refusal, status = None, None, 200
    choices = Choices(MaskSettings(max_length=service.DEFAULT_MAX_LENGTH), way=where.query_string())
    try:
        choices = replace(_with_model(session, read_choices(fields)), way=where.query_string())
        if isinstance(fields, PreviewForm) and fields.discard:
            choices = replace(choices, flags={})
        choices = choices.without_idle_flags(conversation.messages)
        if choices.base_model_id is not None:
            view = build_view(session, conversation, choices)
            choices = view.choices
    except StudioError as error:
        refusal, status = error, 422
    context = _context(session, conversation, choices, where)
    context |= {"view": view, "refusal": refusal, "notice": notice}
    context["slider_max"] = max(view.whole if view else 0, choices.settings.max_length or 0, 64)
    if not is_htmx(request):
        return render(request, "previews/page.html", context, status=status)
    response = render(request, "previews/_preview.html", context, status=status)
    if refusal is None:
        response.headers["HX-Replace-Url"] = choices.address(conversation_id, token=None)
    return response


def _context(
    session: Session, conversation: Conversation, choices: Choices, where: ConversationFilter
) -> dict[str, Any]:
    place = Listing(session, where).place_of(conversation)
    others: dict[str, Any] = {"flags": {}, "token": None, "sample": 0}
    models = [(model.id, model.name) for model in ready_base_models(session)]
    strategies = {key.value: gettext(label) for key, label in STRATEGIES.items()}
    return {
        "conversation": conversation,
        "choices": choices,
        "model_options": models,
        "strategies": strategies,
        "compare_options": [
            ("none", gettext("Nothing")),
            *((f"strategy:{value}", label) for value, label in strategies.items()),
            *((f"model:{identity}", name) for identity, name in models if identity != choices.base_model_id),
        ],
        "handlings": {key.value: gettext(label) for key, label in HANDLINGS.items()},
        "check_labels": {name: gettext(label) for name, label in CHECK_LABELS.items()},
        "before_href": choices.address(place.previous_id, **others) if place.previous_id else None,
        "after_href": choices.address(place.next_id, **others) if place.next_id else None,
    }


@router.get("/help/masking")
def masking_help(request: Request, _actor: AnyActor) -> HTMLResponse:
    """What a loss mask is, how to read the preview, and what each check means."""
    example = EXAMPLES[get_locale()]
    context = {
        "example": example,
        "messages": EXAMPLE_MESSAGES[get_locale()],
        "rows": rows_of(example),
        "strategies": {key.value: gettext(label) for key, label in STRATEGIES.items()},
        "handlings": {key.value: gettext(label) for key, label in HANDLINGS.items()},
        "checks": [(name, gettext(CHECK_LABELS[name])) for name in CHECK_NAMES],
        "meanings": {name: gettext(meaning) for name, meaning in CHECK_MEANINGS.items()},
    }
    return render(request, "previews/help.html", context)
