"""REST for notices and webhooks."""

from typing import Annotated

from fastapi import Query, Response

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.core.routing import Router
from app.core.web import AppSettings, Db
from app.notices import inbox, webhooks
from app.notices.schemas import DeliveryOut, NoticeOut, NoticesOut, WebhookIn, WebhookMadeOut, WebhookOut

router = Router(prefix="/api/v1", tags=["notices"])


@router.get("/notices")
@needs(Permission.ACCOUNT_USE)
def list_notices(
    session: Db,
    actor: CurrentActor,
    unread: bool = False,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> NoticesOut:
    """What ended of what one had asked for, the newest first."""
    found = inbox.notices_of(session, actor, limit=limit, unread=unread)
    return NoticesOut(
        unread=inbox.count_unread(session, actor), notices=[NoticeOut.of(notice) for notice in found]
    )


@router.post("/notices/read", status_code=204)
@needs(Permission.ACCOUNT_USE)
def read_notices(session: Db, actor: CurrentActor) -> Response:
    """All of one's own were read."""
    inbox.read_all(session, actor)
    return Response(status_code=204)


@router.get("/webhooks")
@needs(Permission.WEBHOOK_MANAGE)
def list_webhooks(session: Db) -> list[WebhookOut]:
    """The addresses that are told when runs and evaluations end."""
    return [WebhookOut.of(webhook) for webhook in webhooks.list_webhooks(session)]


@router.post("/webhooks", status_code=201)
@needs(Permission.WEBHOOK_MANAGE)
def add_webhook(session: Db, settings: AppSettings, actor: CurrentActor, body: WebhookIn) -> WebhookMadeOut:
    """Have an address told, in messages that are signed. The answer alone shows the secret."""
    made = webhooks.add_webhook(session, actor, settings, body)
    return WebhookMadeOut.model_validate(made, from_attributes=True)


@router.delete("/webhooks/{webhook_id}", status_code=204)
@needs(Permission.WEBHOOK_MANAGE)
def remove_webhook(session: Db, actor: CurrentActor, webhook_id: int) -> Response:
    """Tell it no more; what waits to be sent is dropped."""
    webhooks.remove_webhook(session, actor, webhook_id)
    return Response(status_code=204)


@router.post("/webhooks/{webhook_id}/test", status_code=202)
@needs(Permission.WEBHOOK_MANAGE)
def send_test(session: Db, settings: AppSettings, actor: CurrentActor, webhook_id: int) -> DeliveryOut:
    """Send a message that tells of nothing; a worker does it within seconds."""
    return DeliveryOut.of(webhooks.send_test(session, actor, settings, webhook_id))


@router.get("/webhooks/{webhook_id}/deliveries")
@needs(Permission.WEBHOOK_MANAGE)
def list_deliveries(
    session: Db, webhook_id: int, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> list[DeliveryOut]:
    """What was sent and what came of it, the newest first. `message` is the body in the format `json`."""
    webhooks.require_webhook(session, webhook_id)
    found = webhooks.list_deliveries(session, webhook_id, limit=limit)
    return [DeliveryOut.of(delivery) for delivery in found]


@router.post("/webhooks/{webhook_id}/deliveries/{delivery_id}/again", status_code=202)
@needs(Permission.WEBHOOK_MANAGE)
def send_again(session: Db, actor: CurrentActor, webhook_id: int, delivery_id: int) -> DeliveryOut:
    """Send the same message under the same id once more. 409 while it is on its way."""
    return DeliveryOut.of(webhooks.send_again(session, actor, webhook_id, delivery_id))
