"""Rules of webhooks: who may be told, of what, and what was sent."""

from sqlmodel import Session, col, select

from app.accounts.service import Actor, record
from app.core.database import database_now, utc_now
from app.core.errors import Conflict, Invalid, NotFound
from app.core.settings import Settings
from app.gates.limits import read_request
from app.notices.announcing import deliver
from app.notices.destinations import read_destination
from app.notices.messages import OFFERED, Event, Message, MessageData
from app.notices.models import Delivery, DeliveryState, Webhook
from app.notices.schemas import WebhookRequest
from app.notices.signing import check_secret, new_secret
from app.sentences import N_


def add_webhook(session: Session, actor: Actor, settings: Settings, asked: WebhookRequest) -> Webhook:
    """Raises Invalid naming the field: a host that is not allowed, no event, a gate without limits, a bad secret."""
    read_destination(asked.url, settings)
    events = [event.value for event in OFFERED if event in asked.events]
    if not events or len(events) != len(set(asked.events)):
        raise Invalid(
            N_("%(field)s: choose some of %(names)s."),
            field="events",
            names=", ".join(event.value for event in OFFERED),
        )
    if Event.GATE_JUDGED in events:
        read_request([asked.gate_min], [asked.gate_max], asked.gate_against, [])
    webhook = Webhook(
        url=asked.url.strip(),
        secret=check_secret(asked.secret) if asked.secret.strip() else new_secret(),
        events=events,
        format=asked.format,
        gate_min=asked.gate_min,
        gate_max=asked.gate_max,
        gate_against=asked.gate_against,
        **actor.who.columns(),
    )
    session.add(webhook)
    session.flush()
    record(session, actor, "webhook.add", f"webhook/{webhook.id}")
    return webhook


def list_webhooks(session: Session) -> list[Webhook]:
    """All, in the order in which they were made."""
    return list(session.exec(select(Webhook).order_by(col(Webhook.id))))


def require_webhook(session: Session, webhook_id: int) -> Webhook:
    """The webhook, or NotFound."""
    found = session.get(Webhook, webhook_id)
    if found is None:
        raise NotFound(N_("There is no webhook %(id)d."), id=webhook_id)
    return found


def remove_webhook(session: Session, actor: Actor, webhook_id: int) -> None:
    """With what was sent to it, and what waits to be."""
    session.delete(require_webhook(session, webhook_id))
    record(session, actor, "webhook.remove", f"webhook/{webhook_id}")
    session.flush()


def send_test(session: Session, actor: Actor, settings: Settings, webhook_id: int) -> Delivery:
    """Have a message sent that tells of nothing. Raises Invalid where the host is not allowed any more."""
    webhook = require_webhook(session, webhook_id)
    read_destination(webhook.url, settings)
    record(session, actor, "webhook.test", f"webhook/{webhook_id}")
    data = MessageData(asked_by=actor.name, page="/queue", url=settings.public_url or None)
    return deliver(session, webhook, Message(type=Event.TEST, timestamp=utc_now(), data=data))


def list_deliveries(session: Session, webhook_id: int, *, limit: int = 50) -> list[Delivery]:
    """What was sent and what waits to be, the newest first."""
    statement = select(Delivery).where(Delivery.webhook_id == webhook_id)
    return list(session.exec(statement.order_by(col(Delivery.id).desc()).limit(limit)))


def send_again(session: Session, actor: Actor, webhook_id: int, delivery_id: int) -> Delivery:
    """The same message under the same id, once more: with all its attempts, or, where it waits after an attempt that failed, now
    and no later. Raises Conflict while its first attempt is under way.
    """
    delivery = session.get(Delivery, delivery_id)
    if delivery is None or delivery.webhook_id != webhook_id:
        raise NotFound(N_("There is no delivery %(id)d."), id=delivery_id)
    if delivery.state is DeliveryState.WAITING:
        if delivery.error is None:
            raise Conflict(N_("This is still on its way."))
    else:
        delivery.state, delivery.attempts, delivery.ended_at = DeliveryState.WAITING, 0, None
        # What came of earlier attempts says nothing of this one.
        delivery.error, delivery.status_code = None, None
    delivery.next_at = database_now(session)
    session.add(delivery)
    record(session, actor, "webhook.again", f"webhook/{webhook_id}")
    session.flush()
    return delivery
