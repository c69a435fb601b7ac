"""A conversation as a version froze it: on its page and through REST, whatever became of it since."""

import pytest
from fastapi import FastAPI

from app.conversations.models import Conversation
from app.conversations.service import delete_conversation, edit_messages
from app.core.database import transaction
from app.core.errors import Conflict, NotFound
from app.core.storage import Storage
from app.versions.frozen import frozen_conversation
from app.versions.models import DatasetVersion
from tests.previews.conftest import DIALOGUE, form_of, labels_on, tokens_on
from tests.support.checked import freeze_these
from tests.support.people import Person, problem_of, visible_text
from tests.support.training import ENGINEER

HTMX = {"HX-Request": "true"}
SECOND = [{"role": "user", "content": "And later?"}, {"role": "assistant", "content": "The same."}]


@pytest.fixture
def frozen(app: FastAPI, storage: Storage) -> tuple[int, list[int]]:
    """A version of two dialogues and their conversations' ids."""
    with transaction(app.state.engine) as session:
        version, ids = freeze_these(session, storage, [DIALOGUE, SECOND])
        assert version.id is not None
        return version.id, ids


def edit(app: FastAPI, conversation_id: int) -> None:
    with transaction(app.state.engine) as session:
        row = session.get_one(Conversation, conversation_id)
        changed = [{"role": "user", "content": "Changed"}, {"role": "assistant", "content": "Entirely."}]
        edit_messages(session, conversation_id, row.version, ENGINEER, "edit", lambda _old: changed)


def test_the_frozen_copy_stays_when_the_conversation_changes(
    app: FastAPI, annotator: Person, frozen: tuple[int, list[int]], model_id: int
) -> None:
    version, (first, _second) = frozen
    path = f"/dataset-versions/{version}/conversations/{first}/mask"
    before = annotator.browser.get(path).text
    assert "Frozen copy, as in Calls v1. The conversation still reads the same." in visible_text(before)
    edit(app, first)
    after = annotator.browser.get(path).text
    assert labels_on(after) == labels_on(before)
    assert "The conversation has been changed since." in visible_text(after)
    assert f'href="/conversations/{first}/mask?base_model={model_id}"' in after
    assert labels_on(annotator.browser.get(f"/conversations/{first}/mask").text) != labels_on(before)


def test_the_frozen_copy_stays_when_the_conversation_is_deleted(
    app: FastAPI, annotator: Person, frozen: tuple[int, list[int]], model_id: int
) -> None:
    version, (first, _second) = frozen
    with transaction(app.state.engine) as session:
        delete_conversation(session, first, ENGINEER)
    page = annotator.browser.get(f"/dataset-versions/{version}/conversations/{first}/mask").text
    assert "The conversation has been deleted since" in visible_text(page)
    assert f"/conversations/{first}/mask?" not in page.replace(
        f"/dataset-versions/{version}/conversations", ""
    )
    assert any(token["trained"] for token in tokens_on(page))


def test_settings_and_flags_are_tried_on_the_copy_and_nothing_is_saved(
    app: FastAPI, annotator: Person, frozen: tuple[int, list[int]], model_id: int
) -> None:
    version, (first, _second) = frozen
    path = f"/dataset-versions/{version}/conversations/{first}/mask"
    page = annotator.browser.get(path).text
    answer = annotator.browser.post(path, data={**form_of(page), "toggle": "1:0"}, headers=HTMX)
    assert {token["turn"] for token in tokens_on(answer.text) if token["trained"]} == {3}
    assert "A frozen copy never changes" in visible_text(answer.text)
    assert "Save flags" not in visible_text(answer.text)
    assert answer.headers["HX-Replace-Url"].startswith(path)
    shown = annotator.browser.post(f"{path}/json", data=form_of(page)).json()
    assert [token["id"] if token["trained"] else -100 for token in shown["tokens"]] == labels_on(page)


def test_rest_previews_the_frozen_copy(
    app: FastAPI, annotator: Person, frozen: tuple[int, list[int]], model_id: int
) -> None:
    version, (first, _second) = frozen
    edit(app, first)
    body = {"base_model_id": model_id, "conversation_id": first}
    live = annotator.api.post("/api/v1/mask-previews", json=body).json()[0]
    copy = annotator.api.post("/api/v1/mask-previews", json={**body, "dataset_version_id": version}).json()[0]
    assert "Changed" in live["text"]
    assert "How many people" in copy["text"]
    missing = annotator.api.post(
        "/api/v1/mask-previews", json={**body, "conversation_id": 99, "dataset_version_id": version}
    )
    assert missing.status_code == 404
    assert "Version 1 does not contain the conversation 99" in problem_of(missing)
    for wrong in (
        {"base_model_id": model_id},
        {**body, "messages": DIALOGUE},
        {"base_model_id": model_id, "messages": DIALOGUE, "dataset_version_id": version},
    ):
        assert annotator.api.post("/api/v1/mask-previews", json=wrong).status_code == 422


def test_a_damaged_or_lost_file_is_said_and_not_shown(
    app: FastAPI, storage: Storage, frozen: tuple[int, list[int]]
) -> None:
    version_id, (first, second) = frozen
    with transaction(app.state.engine) as session:
        version = session.get_one(DatasetVersion, version_id)
        assert frozen_conversation(storage, version, second)["messages"] == SECOND
        with pytest.raises(NotFound):
            frozen_conversation(storage, version, 10**6)
        other = DatasetVersion(**{**version.model_dump(), "id": 99, "storage_key": "versions/other.jsonl"})
        with pytest.raises(Conflict, match="gone"):
            frozen_conversation(storage, other, first)
        body = storage.path(version.storage_key).read_bytes()
        storage.path("versions/other.jsonl").write_bytes(body.replace(b"cost", b"lost"))
        with pytest.raises(Conflict, match="damaged"):
            frozen_conversation(storage, other, first)
