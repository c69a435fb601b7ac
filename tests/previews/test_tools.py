"""The preview of a conversation with tools is the mask of the very text that its template writes with them."""

from typing import Any

import pytest
from fastapi import FastAPI

from app.core.database import transaction
from app.masking import ChatTokenizer, MaskSettings, mask_conversation, read_arrays
from app.versions.service import read_version
from tests.previews.conftest import DIALOGUE, MakeModel
from tests.support.checked import freeze_these, really_check
from tests.support.people import Person

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "price_of_seats",
            "parameters": {
                "type": "object",
                "properties": {"z": {"type": "string"}, "a": {"type": "number"}},
            },
        },
    }
]
TEMPLATE = (
    "{% if tools %}<|im_start|>system\n{% for t in tools %}{{ t | tojson }}\n{% endfor %}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def preview(person: Person, model_id: int, **body: Any) -> Any:
    sent = {"base_model_id": model_id, "chat_template": TEMPLATE, **body}
    answer = person.api.post("/api/v1/mask-previews", json=sent)
    assert answer.status_code == 200, answer.text
    return answer.json()[0]


@pytest.fixture
def number(annotator: Person) -> int:
    dataset = annotator.api.post("/api/v1/datasets", json={"name": "Tools"}).json()["id"]
    body = {"messages": DIALOGUE, "tools": TOOLS}
    made = annotator.api.post(f"/api/v1/datasets/{dataset}/conversations", json=body)
    found: int = made.json()["id"]
    return found


def test_the_template_gets_the_tools_and_they_are_never_trained(
    annotator: Person, model_id: int, number: int, smollm2: ChatTokenizer
) -> None:
    shown = preview(annotator, model_id, conversation_id=number)
    assert "price_of_seats" in shown["text"]
    assert shown["text"].index('"z"') < shown["text"].index('"a"')
    assert all(check["passed"] for check in shown["checks"])
    place = shown["text"].index("price_of_seats")
    assert not any(token["trained"] for token in shown["tokens"] if token["start"] <= place < token["end"])
    assert shown == preview(annotator, model_id, messages=DIALOGUE, tools=TOOLS)
    assert "price_of_seats" not in preview(annotator, model_id, messages=DIALOGUE)["text"]
    tokenizer = smollm2.with_chat_template(TEMPLATE, "pasted")
    conversation: Any = {"messages": DIALOGUE, "tools": TOOLS}
    (sample,) = mask_conversation(tokenizer, conversation, MaskSettings()).samples
    assert [token["id"] for token in shown["tokens"]] == sample.input_ids.tolist()


def test_tools_beside_a_stored_conversation_are_refused(
    annotator: Person, model_id: int, number: int
) -> None:
    body = {"base_model_id": model_id, "conversation_id": number, "tools": TOOLS}
    answer = annotator.api.post("/api/v1/mask-previews", json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, "tools")


def test_a_frozen_copy_keeps_its_tools(app: FastAPI, annotator: Person, model_id: int) -> None:
    with transaction(app.state.engine) as session:
        version, (first,) = freeze_these(session, app.state.storage, [DIALOGUE], tools=TOOLS)
        assert [row.get("tools") for row in read_version(app.state.storage, version)] == [TOOLS]
        version_id = version.id
    shown = preview(annotator, model_id, conversation_id=first, dataset_version_id=version_id)
    assert "price_of_seats" in shown["text"]
    page = annotator.browser.get(
        f"/dataset-versions/{version_id}/conversations/{first}/mask", params={"base_model": model_id}
    )
    assert page.status_code == 200


def test_the_arrays_of_a_mask_check_are_those_of_the_preview_with_tools(
    app: FastAPI, annotator: Person, make_model: MakeModel
) -> None:
    model_id = make_model("with-tools", TEMPLATE)
    with transaction(app.state.engine) as session:
        storage = app.state.storage
        version, (first,) = freeze_these(session, storage, [DIALOGUE], tools=TOOLS)
        check = really_check(session, storage, version, model_id, MaskSettings())
        (path,) = storage.path(f"jobs/{check.job_id}/1").rglob("*.safetensors")
        ids, labels = read_arrays(path).sample(0)
        version_id = version.id
    shown = preview(annotator, model_id, conversation_id=first, dataset_version_id=version_id)
    assert [token["id"] for token in shown["tokens"]] == ids.tolist()
    assert [token["trained"] for token in shown["tokens"]] == [label != -100 for label in labels.tolist()]
