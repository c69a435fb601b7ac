"""Conversations to work on."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from sqlmodel import Session, func, select

from app.accounts.models import Role
from app.accounts.service import Actor
from app.conversations.drafts import create_conversation
from app.conversations.models import Conversation
from app.core.database import transaction
from app.datasets import service as datasets

ANN = Actor(1, "Ann", Role.ANNOTATOR, "session")
BOB = Actor(2, "Bob", Role.REVIEWER, "token", 9)
DIALOGUE = [
    {"role": "user", "content": "What does it cost?"},
    {"role": "assistant", "content": "How many people would use it?"},
    {"role": "user", "content": "Twelve."},
    {"role": "assistant", "content": "Then 348 a month."},
]

MakeConversation = Callable[..., int]


def add_conversation(session: Session, dataset_id: int, **data: Any) -> int:
    """A stored draft of the sample dialogue, with changes; the second one of a dataset is another customer's."""
    statement = select(func.count()).where(Conversation.dataset_id == dataset_id)
    before = session.exec(statement).one()
    named = [{**DIALOGUE[0], "name": f"customer-{before + 1}"}, *DIALOGUE[1:]] if before else DIALOGUE
    conversation = create_conversation(session, dataset_id, {"messages": named, **data}, ANN)
    assert conversation.id is not None
    return conversation.id


@pytest.fixture
def dataset_id(app: FastAPI) -> int:
    """An empty dataset in the app's database."""
    with transaction(app.state.engine) as session:
        dataset = datasets.create_dataset(session, ANN, name="Calls")
        assert dataset.id is not None
        return dataset.id


@pytest.fixture
def make(app: FastAPI, dataset_id: int) -> MakeConversation:
    """Makes a conversation in the app's database and gives its id."""

    def make_one(**data: Any) -> int:
        with transaction(app.state.engine) as session:
            return add_conversation(session, dataset_id, **data)

    return make_one
