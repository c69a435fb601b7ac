"""The messenger of a worker: a receiver that hangs keeps back its own messages alone."""

import threading

import pytest
from fastapi import FastAPI
from sqlmodel import select

from app.core.database import reading
from app.notices import sending
from app.notices.models import Delivery, DeliveryState
from tests.notices.conftest import HangingReceiver, Receiver, add, hanging, receiver, settings
from tests.support.patience import HANGING_SECONDS
from tests.support.people import Person
from worker.parent.messenger import Messenger

__all__ = ["hanging", "receiver", "settings"]
pytestmark = pytest.mark.usefixtures("silent_bell")
WAITING = 30


def test_deliveries_to_one_receiver_wait_for_none_that_hangs(
    app: FastAPI, admin: Person, hanging: HangingReceiver, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It hangs until it is let go: nothing else ends the attempt, however long the rest takes.
    monkeypatch.setattr(sending, "TIME_LIMIT_SECONDS", float(HANGING_SECONDS))
    stuck, well = add(admin, hanging, "run.failed"), add(admin, receiver, "run.failed")
    for _ in range(WAITING):
        admin.api.post(f"/api/v1/webhooks/{stuck}/test")
    messenger = Messenger(app.state.engine, app.state.settings, threading.Event())
    messenger.round()
    assert hanging.called.wait(HANGING_SECONDS)
    # The round is over though nobody has answered, and so is the next one, in which the others are told.
    admin.api.post(f"/api/v1/webhooks/{well}/test")
    messenger.round()
    lanes = {lane.name: lane for lane in threading.enumerate()}
    if told := lanes.get(f"webhook {well}"):
        told.join(HANGING_SECONDS)
    assert len(receiver.got) == 1
    assert lanes[f"webhook {stuck}"].is_alive()
    with reading(app.state.engine) as session:
        sent = session.exec(select(Delivery).order_by(Delivery.id)).all()  # type: ignore[arg-type]
    assert [one.attempts for one in sent] == [1, *[0] * (WAITING - 1), 1], "one after the other"
    assert sent[-1].state is DeliveryState.DELIVERED
    # No second thread for what is being sent to already.
    messenger.round()
    names = [lane.name for lane in threading.enumerate()]
    assert names.count(f"webhook {stuck}") == 1
    messenger.stop_event.set()
    hanging.let_go.set()
    lanes[f"webhook {stuck}"].join(HANGING_SECONDS)
    assert not lanes[f"webhook {stuck}"].is_alive()
