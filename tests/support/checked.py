"""A version that was really checked: conversations frozen, masked by the worker's own function, its result stored."""

from typing import Any

from sqlmodel import Session

from app.accounts.who import Who
from app.conversations.drafts import build_conversation
from app.conversations.models import ReviewState
from app.core.settings import Settings
from app.core.storage import Storage
from app.datasets.service import create_dataset
from app.dialogue.reading import read_conversation
from app.jobs import service as jobs
from app.jobs.handlers import Workplace
from app.jobs.models import JobState
from app.mask_checks.handler import CheckMasks
from app.mask_checks.models import MaskCheck
from app.masking import MaskSettings
from app.versions.freezing import freeze
from app.versions.models import DatasetVersion
from tests.support.training import ENGINEER, ask_for_check
from worker.work import mask_check
from worker.work.protocol import Control


def freeze_these(
    session: Session,
    storage: Storage,
    dialogues: list[list[dict[str, Any]]],
    name: str = "Calls",
    *,
    tools: list[dict[str, Any]] | None = None,
) -> tuple[DatasetVersion, list[int]]:
    """A version of these dialogues and their conversations' ids, in order."""
    dataset = create_dataset(session, ENGINEER, name=name)
    assert dataset.id is not None
    ids = []
    for messages in dialogues:
        dialogue = read_conversation({"messages": messages, "tools": tools, "outcome": "won"})
        row = build_conversation(dataset.id, dialogue, author=Who("test"))
        row.review_state = ReviewState.APPROVED
        session.add(row)
        session.flush()
        assert row.id is not None
        ids.append(row.id)
    return freeze(session, storage, dataset, ENGINEER).version, ids


def really_check(
    session: Session, storage: Storage, version: DatasetVersion, base_model_id: int, settings: MaskSettings
) -> MaskCheck:
    """The mask check as the worker makes it."""
    check, job = ask_for_check(
        session, storage, dataset_version_id=version.id or 0, base_model_id=base_model_id, settings=settings
    )
    claim = jobs.claim(session, job.id or 0, owner="test", lease_seconds=30)
    assert claim is not None
    place = Workplace(settings=Settings(), storage=storage, output_key=f"jobs/{job.id}/1")
    storage.folder(place.output_key)
    handler = CheckMasks()
    child_input = handler.child_input(session, place, claim)
    result = mask_check.run(child_input, place.output_dir, lambda _kind, **_payload: None, Control())
    jobs.finish(session, claim, JobState.SUCCEEDED, result={})
    handler.publish(session, place, claim, result, [])
    session.flush()
    return check
