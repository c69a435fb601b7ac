"""Deliveries on their way: each is a row, so that a restart forgets none. Tried again after ever longer pauses, then given up.

Those of one webhook are sent one after the other; whoever calls gives each webhook a thread, so that none waits for another.

A delivery is taken by a guarded update that also says when the next attempt would be, so two workers never send it at the
same time, and one that dies while it sends leaves it to the next. A receiver may get a message twice, under one id.
"""

import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from sqlalchemy import ColumnElement, CursorResult, Engine, update
from sqlmodel import Session, col, select

from app.core.database import database_now, reading, transaction
from app.core.errors import StudioError
from app.core.settings import Settings
from app.notices.destinations import address_of, read_destination
from app.notices.formats import body_of
from app.notices.messages import Trouble
from app.notices.models import Delivery, DeliveryState, Webhook
from app.notices.signing import headers
from app.sentences import N_, Sentence

# Loaded with the first message: it brings a command line of its own along, and a worker may never have one to send.
if TYPE_CHECKING:
    import httpx

# After the first attempt, the second, and so on.
PAUSES_SECONDS: Final = (5, 30, 120, 600, 3600, 6 * 3600)
TIME_LIMIT_SECONDS: Final = 10.0
AGENT: Final = "SFT-Studio"
# By then a sender has either told what came of it or died.
_TAKEN_SECONDS: Final = 60
_NO_ANSWER: Final = N_("No answer: %(reason)s")
_TOO_LATE: Final = N_("No answer within %(seconds)d seconds.")
_NO_CONNECTION: Final = N_("No connection to %(host)s: %(reason)s")
_ANSWERED: Final = N_("The receiver answered %(status)d.")
_REDIRECTED: Final = N_("The receiver answered %(status)d and names another address, which is not followed.")


@dataclass(frozen=True)
class _Outcome:
    status: int | None
    error: Sentence | None


def webhooks_with_due(engine: Engine) -> list[int]:
    """Those that something is to be sent to now, by id."""
    with reading(engine) as session:
        statement = select(Delivery.webhook_id).where(*_due(session)).distinct()
        return sorted(session.exec(statement))


def send_next(engine: Engine, settings: Settings, webhook_id: int) -> bool:
    """Send what has been due the longest to a webhook. Whether anything was due."""
    with reading(engine) as session:
        statement = (
            select(Delivery.id)
            .where(Delivery.webhook_id == webhook_id, *_due(session))
            .order_by(col(Delivery.next_at), col(Delivery.id))
            .limit(1)
        )
        due = session.exec(statement).first()
    if due is None:
        return False
    _send_one(engine, settings, due)
    return True


def _due(session: Session) -> tuple[ColumnElement[bool], ...]:
    return col(Delivery.state) == DeliveryState.WAITING, col(Delivery.next_at) <= database_now(session)


def _send_one(engine: Engine, settings: Settings, delivery_id: int) -> None:
    with transaction(engine) as session:
        if not _take(session, delivery_id):
            return
        delivery = session.get_one(Delivery, delivery_id)
        webhook = session.get_one(Webhook, delivery.webhook_id)
    outcome = _call(settings, webhook, delivery)
    with transaction(engine) as session:
        stored = session.get(Delivery, delivery_id)
        if stored is not None and stored.attempts == delivery.attempts:
            _keep(session, stored, outcome)


def _take(session: Session, delivery_id: int) -> bool:
    now = database_now(session)
    statement = (
        update(Delivery)
        .where(col(Delivery.id) == delivery_id, *_due(session))
        .values(attempts=Delivery.attempts + 1, next_at=now + timedelta(seconds=_TAKEN_SECONDS))
    )
    return cast(CursorResult[Any], session.execute(statement)).rowcount == 1


def _keep(session: Session, delivery: Delivery, outcome: _Outcome) -> None:
    now = database_now(session)
    delivery.status_code = outcome.status
    delivery.error = Trouble(sentence=outcome.error) if outcome.error else None
    if outcome.error is None:
        delivery.state, delivery.ended_at = DeliveryState.DELIVERED, now
    elif delivery.attempts > len(PAUSES_SECONDS):
        delivery.state, delivery.ended_at = DeliveryState.FAILED, now
    else:
        delivery.next_at = now + timedelta(seconds=PAUSES_SECONDS[delivery.attempts - 1])
    session.add(delivery)


def _call(settings: Settings, webhook: Webhook, delivery: Delivery) -> _Outcome:
    """One attempt: nothing of the answer is read but its status."""
    import httpx

    try:
        destination = read_destination(webhook.url, settings)
        address = address_of(destination, settings)
    except StudioError as refused:
        return _Outcome(None, refused.sentence)
    body = body_of(delivery.message, webhook.format)
    signed = headers(webhook.secret, delivery.message_id, int(time.time()), body)
    host = f"[{address}]" if ":" in address else address
    client = httpx.Client(timeout=TIME_LIMIT_SECONDS, follow_redirects=False, trust_env=False)
    limit = _Limit(client)
    limit.start()
    try:
        with client.stream(
            "POST",
            f"{destination.scheme}://{host}:{destination.port}{destination.target}",
            content=body,
            headers={
                "Host": destination.authority,
                "Content-Type": "application/json",
                "User-Agent": AGENT,
                **signed,
            },
            # The certificate is the name's, not the address's.
            extensions={"sni_hostname": destination.host},
        ) as response:
            return _judged(response.status_code)
    except (httpx.HTTPError, httpx.InvalidURL, RuntimeError, OSError) as error:
        return _Outcome(None, _why_none(error, destination.host, too_late=limit.is_over))
    finally:
        limit.cancel()
        client.close()


class _Limit(threading.Timer):
    """A receiver that answers byte by byte keeps each timeout and would still never end: the whole attempt has one."""

    def __init__(self, client: "httpx.Client") -> None:
        super().__init__(2 * TIME_LIMIT_SECONDS, self._cut_off)
        self._client, self.is_over = client, False

    def _cut_off(self) -> None:
        self.is_over = True
        self._client.close()


def _why_none(error: Exception, host: str, *, too_late: bool) -> Sentence:
    """What a library says of a closed connection tells nobody that it was the time that ran out."""
    import httpx

    if too_late:
        return Sentence.of(_TOO_LATE, seconds=int(2 * TIME_LIMIT_SECONDS))
    if isinstance(error, httpx.TimeoutException):
        return Sentence.of(_TOO_LATE, seconds=int(TIME_LIMIT_SECONDS))
    reason = str(error)[:200] or type(error).__name__
    if isinstance(error, httpx.ConnectError):
        return Sentence.of(_NO_CONNECTION, host=host, reason=reason)
    return Sentence.of(_NO_ANSWER, reason=reason)


def _judged(status: int) -> _Outcome:
    if 200 <= status < 300:
        return _Outcome(status, None)
    template = _REDIRECTED if 300 <= status < 400 else _ANSWERED
    return _Outcome(status, Sentence.of(template, status=status))
