"""What is so of a second dataset and of both together stands in the pre-flight, and in the checklist of what was started."""

import pytest
from fastapi import FastAPI
from sqlmodel import select

from app.conversations.models import Conversation
from app.core.database import transaction, utc_now
from app.core.storage import Storage
from app.mask_checks.models import MaskCheck
from app.versions.models import DatasetVersion
from tests.runs.test_mixing import checks
from tests.support.people import Person
from tests.support.training import WORDS, write_arrays_of

__all__ = ["checks"]
pytestmark = pytest.mark.usefixtures("silent_bell")


def test_approvals_held_out_and_what_crosses_both_datasets_are_accepted_by_name_and_stand_in_the_checklist(
    app: FastAPI, engineer: Person, storage: Storage, checks: tuple[int, int]
) -> None:
    with transaction(app.state.engine) as session:
        own, beside = (session.get_one(MaskCheck, one) for one in checks)
        version = session.get_one(DatasetVersion, beside.dataset_version_id)
        version.validation_count = 0
        session.add(version)
        (changed,) = session.exec(
            select(Conversation).where(Conversation.dataset_id == version.dataset_id).limit(1)
        )
        changed.outcome, changed.updated_at = "lost", utc_now()
        session.add(changed)
        near = WORDS[:40].copy()
        near[2] += 1
        write_arrays_of(session, storage, beside, {11: WORDS[80:120], 12: near}, held_out=12)
        asked = {"dataset_version_id": own.dataset_version_id, "base_model_id": own.base_model_id}
    names = ["mix_approvals", "mix_leak", "mix_held_out"]
    mixed = {"mask_check_id": checks[0], "mix_check_id": checks[1]}
    plan = engineer.api.post("/api/v1/runs/plan", json={**asked, **mixed}).json()
    told = {one["name"]: one["message"] for one in plan["preflight"] if one["level"] == "warning"}
    assert list(told) == names
    assert "12 ≈ 1" in told["mix_leak"]
    refused = engineer.api.post("/api/v1/runs", json={**mixed, "confirmed": True})
    assert [one["field"] for one in refused.json()["errors"]] == names
    run = engineer.api.post("/api/v1/runs", json={**mixed, "confirmed": True, "accepted_warnings": names})
    assert run.status_code == 201, run.text
    lines = {
        one["code"]: one for one in engineer.api.get(f"/api/v1/runs/{run.json()['id']}/checklist").json()
    }
    assert [(lines[name]["state"], lines[name]["evidence"]) for name in names[:2]] == [
        ("warn", told[name]) for name in names[:2]
    ]
    assert lines["mix_held_out"]["state"] == "warn"
    again = engineer.api.post(f"/api/v1/runs/{run.json()['id']}/again")
    assert again.status_code == 201, again.text
    with transaction(app.state.engine) as session:
        gone = session.get_one(MaskCheck, checks[1])
        storage.path(gone.arrays_key or "").unlink()
    (unread,) = [
        one
        for one in engineer.api.post("/api/v1/runs/plan", json={**asked, **mixed}).json()["preflight"]
        if one["name"] == "mix_leak"
    ]
    assert (unread["level"], "gone from the disk" in unread["message"]) == ("warning", True)
