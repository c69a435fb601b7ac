"""The page of webhooks, for administrators. Plain forms."""

from typing import Annotated, Any, Final

from fastapi import Depends, Form, Request, Response
from sqlmodel import Session
from starlette.datastructures import FormData

from app.accounts import shown_once
from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.core.database import reading, transaction
from app.core.errors import StudioError
from app.core.routing import Router
from app.core.settings import Settings
from app.core.templating import render, see
from app.core.typed import typed_whole
from app.core.web import AppEngine, AppSettings, Db, posted_form
from app.notices import webhooks
from app.notices.destinations import HOSTS_SETTING
from app.notices.formats import FORMAT_WORDS
from app.notices.messages import EVENT_WORDS, OFFERED, Event
from app.notices.models import Format
from app.notices.schemas import DeliveryOut, WebhookRequest
from app.sentences import N_

router = Router(prefix="/webhooks", include_in_schema=False)
_PATH: Final = "/webhooks"
_SHOWN: Final = 10
# As the form calls its fields, and those of a gate that a message tells of.
_LABELS: Final = {
    "url": N_("Address"),
    "events": N_("Events"),
    "secret": N_("Secret"),
    "min": N_("Gate: at least"),
    "max": N_("Gate: at most"),
    "against": N_("Gate: no worse than"),
}
_EMPTY: Final = {
    "url": "",
    "secret": "",
    "format": Format.JSON.value,
    "gate_min": "",
    "gate_max": "",
    "gate_against": "",
}


def _newest(session: Session, webhook_id: int) -> list[DeliveryOut]:
    return [DeliveryOut.of(sent) for sent in webhooks.list_deliveries(session, webhook_id, limit=_SHOWN)]


def _page(
    request: Request,
    session: Session,
    settings: Settings,
    error: StudioError | None = None,
    values: dict[str, str] | None = None,
    events: list[str] | None = None,
) -> Response:
    found = webhooks.list_webhooks(session)
    context: dict[str, Any] = {
        "webhooks": [(one, _newest(session, one.id or 0)) for one in found],
        "made": shown_once.shown(request),
        "errors": {error.field or "url": error.on_form(_LABELS)} if error else {},
        "values": values or _EMPTY,
        "events": [event.value for event in OFFERED if event is not Event.GATE_JUDGED]
        if events is None
        else events,
        "event_words": {event: EVENT_WORDS[event] for event in OFFERED},
        "all_words": EVENT_WORDS,
        "format_words": FORMAT_WORDS,
        "hosts": settings.webhook_hosts,
        "hosts_setting": HOSTS_SETTING,
    }
    response = render(request, "notices/webhooks.html", context, status=error.status if error else 200)
    shown_once.forget(request, response, _PATH)
    return response


@router.get("", response_model=None)
@needs(Permission.WEBHOOK_MANAGE)
def webhooks_page(request: Request, session: Db, settings: AppSettings) -> Response:
    """All webhooks, what was sent to each, and the form for one more."""
    return _page(request, session, settings)


@router.get("/{webhook_id}/deliveries", response_model=None)
@needs(Permission.WEBHOOK_MANAGE)
def deliveries_of(request: Request, session: Db, webhook_id: int) -> Response:
    """What was sent to one, for a page that waits for answers."""
    webhook = webhooks.require_webhook(session, webhook_id)
    context = {"webhook": webhook, "deliveries": _newest(session, webhook_id), "all_words": EVENT_WORDS}
    return render(request, "notices/_deliveries.html", context)


@router.post("", response_model=None)
@needs(Permission.WEBHOOK_MANAGE)
def add_webhook(
    request: Request,
    engine: AppEngine,
    settings: AppSettings,
    actor: CurrentActor,
    posted: Annotated[FormData, Depends(posted_form)],
) -> Response:
    """Add one; its secret is shown once. What was typed stays when it is refused."""
    values = {name: str(posted.get(name, default)) for name, default in _EMPTY.items()}
    events = [str(event) for event in posted.getlist("events")]
    chosen = Format(values["format"]) if values["format"] in set(Format) else Format.JSON
    try:
        asked = WebhookRequest(**{**values, "format": chosen}, events=events)  # type: ignore[arg-type]
        with transaction(engine) as session:
            made = webhooks.add_webhook(session, actor, settings, asked)
    except StudioError as error:
        with reading(engine) as session:
            return _page(request, session, settings, error, values, events)
    return shown_once.see_once(_PATH, {"url": made.url, "secret": made.secret}, https=settings.https)


@router.post("/{webhook_id}/remove", response_model=None)
@needs(Permission.WEBHOOK_MANAGE)
def remove_webhook(session: Db, actor: CurrentActor, webhook_id: int) -> Response:
    """Tell it no more."""
    webhooks.remove_webhook(session, actor, webhook_id)
    return see(_PATH)


@router.post("/{webhook_id}/test", response_model=None)
@needs(Permission.WEBHOOK_MANAGE)
def send_test(session: Db, settings: AppSettings, actor: CurrentActor, webhook_id: int) -> Response:
    """Send a message that tells of nothing."""
    webhooks.send_test(session, actor, settings, webhook_id)
    return see(f"{_PATH}#webhook-{webhook_id}")


@router.post("/{webhook_id}/again", response_model=None)
@needs(Permission.WEBHOOK_MANAGE)
def send_again(
    session: Db, actor: CurrentActor, webhook_id: int, delivery: Annotated[str, Form()] = ""
) -> Response:
    """Send a message once more."""
    webhooks.send_again(session, actor, webhook_id, typed_whole(delivery) or 0)
    return see(f"{_PATH}#webhook-{webhook_id}")
