"""The answer of every preview page, whatever it is about: the view or the refusal, as a page or as the fragment."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from sqlmodel import Session

from app.base_models.models import ModelEntry
from app.base_models.service import BUNDLED_NAME, models_with_tokenizer, require_base_model
from app.core.database import let_go
from app.core.errors import StudioError
from app.core.i18n import gettext, ngettext
from app.core.templating import is_htmx, render
from app.mask_checks.check_texts import CHECK_LABELS
from app.mask_settings.arguments import PREFIX, offered_arguments
from app.mask_settings.choices import Choices, PreviewFields, PreviewForm, read_choices
from app.mask_settings.fields import MASK_FIELDS, write_settings
from app.mask_settings.tokenizers import tokenizer_of
from app.mask_settings.words import words_of
from app.masking import ChatTokenizer, MaskSettings
from app.previews import service
from app.previews.subjects import Subject
from app.previews.view import View, build_view


@dataclass
class Result:
    """What the choices led to: a view, a refusal, or neither where no base model is ready."""

    choices: Choices
    view: View | None = None
    refusal: StudioError | None = None
    tokenizer: ChatTokenizer | None = None
    notices: list[str] = field(default_factory=list)
    # Whether the fields could be read, so that an address can say them.
    readable: bool = False


def look(session: Session, subject: Subject, fields: PreviewFields, way: str = "") -> Result:
    """Read the fields and mask; what is wrong with either is the refusal."""
    result = Result(Choices(MaskSettings(), subject.path, way=way))
    try:
        choices = replace(with_model(session, read_choices(fields, subject.path)), way=way)
        if isinstance(fields, PreviewForm) and fields.discard:
            choices = replace(choices, flags={})
        result.choices, result.readable = choices.without_idle_flags(subject.dialogue["messages"]), True
        if choices.base_model_id is not None:
            result.tokenizer = tokenizer_of(session, choices.base_model_id, choices.chat_template)
            _leave_out_unread(session, result, result.tokenizer)
            result.view = build_view(session, subject.dialogue, result.choices)
            result.choices = result.view.choices
    except StudioError as error:
        result.refusal = error
    return result


def option_name(model: ModelEntry) -> str:
    """What the pickers call a model."""
    return model.name if model.is_ready else gettext("%(model)s (tokenizer only)") % {"model": model.name}


def with_model(session: Session, choices: Choices) -> Choices:
    """The first ready model where none is named."""
    if choices.base_model_id is None:
        ready = models_with_tokenizer(session)
        return replace(choices, base_model_id=ready[0].id if ready else None)
    return choices


def _leave_out_unread(session: Session, result: Result, tokenizer: ChatTokenizer) -> None:
    """An argument stays in the form when another model is chosen; one its template does not read is left out."""
    result.choices, unread = result.choices.readable_by(tokenizer)
    if not unread:
        return
    model = require_base_model(session, result.choices.base_model_id or 0)
    text = ngettext(
        "The chat template of “%(model)s” does not read the argument %(names)s; it is left out here.",
        "The chat template of “%(model)s” does not read the arguments %(names)s; they are left out here.",
        len(unread),
    )
    result.notices.append(text % {"model": model.name, "names": ", ".join(unread)})


def answer_preview(
    request: Request,
    session: Session,
    subject: Subject,
    fields: PreviewFields,
    *,
    way: str = "",
    notice: str | None = None,
    context: Callable[[Choices], Mapping[str, Any]] | None = None,
) -> HTMLResponse:
    """The page, or for htmx the fragment; a refusal is shown in the same place with status 422.

    `context` gives what a page adds to it, once the choices are known.
    """
    result = look(session, subject, fields, way)
    everything = page_context(request, session, subject, result)
    everything |= {
        "notices": [*([notice] if notice else []), *result.notices],
        **(context(result.choices) if context else {}),
    }
    status = 422 if result.refusal else 200
    if not is_htmx(request):
        return render(request, "previews/page.html", everything, status=status)
    sent = {name for name in fields.model_extra or {} if name.startswith(PREFIX)}
    everything["swap_arguments"] = sent != {f"{PREFIX}{one.name}" for one in everything["arguments"]}
    response = render(request, "previews/_answer.html", everything, status=status)
    if result.readable:
        response.headers["HX-Replace-Url"] = result.choices.address(token=None)
    return response


def bring_context(session: Session) -> dict[str, Any]:
    """What the form that brings another model reads."""
    return {
        "has_models": bool(models_with_tokenizer(session)),
        "bundled_name": BUNDLED_NAME,
        "brought": None,
    }


def page_context(request: Request, session: Session, subject: Subject, result: Result) -> dict[str, Any]:
    """Everything that the page and its fragments read."""
    choices, view = result.choices, result.view
    # What a template reads is found by rendering it.
    let_go(session)
    arguments = offered_arguments(result.tokenizer, choices.arguments)
    models = [(model.id, option_name(model)) for model in models_with_tokenizer(session)]
    strategies = words_of("train_on")
    return {
        **bring_context(session),
        "subject": subject,
        "view": view,
        "refusal": result.refusal,
        "readable": result.readable,
        "choices": choices,
        "arguments": arguments,
        "model_options": models,
        "strategies": strategies,
        "compare_options": [
            ("none", gettext("Nothing")),
            *((f"strategy:{value}", label) for value, label in strategies.items()),
            *((f"model:{identity}", name) for identity, name in models if identity != choices.base_model_id),
        ],
        "mask_fields": MASK_FIELDS,
        "mask_values": write_settings(choices.settings),
        "check_labels": {name: gettext(label) for name, label in CHECK_LABELS.items()},
        "slider_max": max(view.whole if view else 0, choices.settings.max_length or 0, 64),
    }


def sample_as_json(session: Session, subject: Subject, fields: PreviewFields) -> Response:
    """The shown sample as `sft-studio masks preview --json` prints it."""
    choices = with_model(session, read_choices(fields, subject.path))
    messages = choices.apply_flags(subject.dialogue["messages"])
    masked = service.mask_dialogue(
        session,
        base_model_id=choices.base_model_id or 0,
        dialogue={**subject.dialogue, "messages": messages},
        settings=choices.settings,
        chat_template=choices.chat_template or None,
    )
    shown = service.contract_of(masked, min(choices.sample, len(masked.samples) - 1))
    return Response(json.dumps(shown, ensure_ascii=False), media_type="application/json")
