"""A file of an unknown layout comes in by a mapping: by page, by REST, by a kept name; nothing is stored before."""

import io
import os
import re
import time
from typing import Any

import pytest
from fastapi import FastAPI
from sqlmodel import Session, select

from app.conversations.models import Conversation
from app.core.errors import Invalid
from app.imports import staging
from app.imports.mapping_document import parse_mapping
from tests.support.people import Person, problem_of, visible_text

EXPORT = "who,room,words\nAnn,1,How much?\nShop,1,Fifty.\nAnn,2,Open?\nShop,2,Until six.\n"
MAPPING: dict[str, Any] = {
    "turns": "rows",
    "conversation": "room",
    "side": "who",
    "text": "words",
    "sides": {"Ann": "user", "Shop": "assistant"},
}
FORM = {
    **{key: value for key, value in MAPPING.items() if key != "sides"},
    "side_value": ["Ann", "Shop"],
    "side_is": ["user", "assistant"],
}


def stored(app: FastAPI) -> list[list[tuple[str, str]]]:
    with Session(app.state.engine) as session:
        found = session.exec(select(Conversation).order_by(Conversation.id)).all()  # type: ignore[arg-type]
        return [[(message["role"], message["content"]) for message in one.messages] for one in found]


def sent(person: Person, path: str, data: dict[str, Any], **more: Any) -> Any:
    headers = {"HX-Request": "true"}
    return person.browser.post(path, data={"csrf_token": person.csrf_token, **data}, headers=headers, **more)


def test_names_of_a_side_that_are_known_are_placed_once_their_column_is_chosen(
    annotator: Person, dataset_id: int
) -> None:
    files = {
        "file": (
            "export.csv",
            io.BytesIO('<b>谁,房间.号,"话""语"\n客户,1,多少钱\n客服,1,三百\n小李,1,嗯\n'.encode()),
        )
    }
    refused = sent(annotator, f"/datasets/{dataset_id}/import", {}, files=files)
    page = re.findall(rf"/datasets/{dataset_id}/import/mapping/[\w-]+", refused.text)[0]
    form = {"turns": "rows", "conversation": "房间.号", "side": "<b>谁", "text": '话"语'}
    first = sent(annotator, f"{page}/preview", form).text
    assert re.findall(r'<option value="(\w*)" selected', first[first.index("side-1") :])[:3] == [
        "user",
        "assistant",
        "",
    ]
    assert "whose side “小李” is" in visible_text(first)
    # A choice that was taken back stays so.
    seen = {**form, "side_value": ["客户", "客服", "小李"], "side_is": ["", "assistant", "left_out"]}
    assert "whose side “客户” is" in visible_text(sent(annotator, f"{page}/preview", seen).text)


def test_a_refused_file_waits_for_the_person_to_say_what_its_columns_mean(
    app: FastAPI, annotator: Person, engineer: Person, dataset_id: int
) -> None:
    files = {"file": ("export.csv", io.BytesIO(EXPORT.encode()))}
    refused = sent(annotator, f"/datasets/{dataset_id}/import", {}, files=files)
    assert refused.status_code == 422
    # Skipping the header would leave nothing of the file.
    assert "was recognised as a conversation" in visible_text(refused.text)
    assert "skipping bad lines" not in visible_text(refused.text)
    found = re.search(rf"/datasets/{dataset_id}/import/mapping/[\w-]+", refused.text)
    assert found
    page = found.group()
    shown = visible_text(annotator.browser.get(page).text)
    assert "How much?" in shown
    assert "Who speaks" in shown
    unplaced = sent(annotator, f"{page}/preview", {**FORM, "side_is": ["user", ""]})
    assert "whose side “Shop” is" in visible_text(unplaced.text)
    preview = sent(annotator, f"{page}/preview", FORM)
    assert "2 dialogues come of the file." in visible_text(preview.text)
    assert stored(app) == []
    # What came of it stands below the form: it is brought into view.
    assert re.search(
        r'id="mapping-form"[^>]*hx-target="#import-report"[^>]*hx-swap="[^"]*show:top', preview.text
    )
    assert engineer.browser.get(page).status_code == 404  # it is another person's file

    done = sent(annotator, page, {**FORM, "name": "Exports"})
    assert done.headers["HX-Redirect"].startswith(f"/datasets/{dataset_id}/imports/")
    assert stored(app) == [
        [("user", "How much?"), ("assistant", "Fifty.")],
        [("user", "Open?"), ("assistant", "Until six.")],
    ]
    assert annotator.browser.get(page).status_code == 404
    kept = annotator.api.get("/api/v1/import-mappings/Exports").json()
    assert kept["mapping"] == {"version": 1, **MAPPING}

    again = sent(
        annotator,
        f"/datasets/{dataset_id}/import",
        {},
        files={"file": ("next.csv", io.BytesIO(EXPORT.encode()))},
    )
    waiting = re.findall(rf"/datasets/{dataset_id}/import/mapping/[\w-]+", again.text)[0]
    applied = annotator.browser.get(waiting, params={"mapping": "Exports"})
    assert "2 dialogues come of the file." in visible_text(applied.text)
    assert sent(annotator, f"{waiting}/forget", {"mapping": "Exports"}).headers["HX-Redirect"] == waiting
    assert annotator.api.get("/api/v1/import-mappings/Exports").status_code == 404
    assert "Exports" not in annotator.browser.get(waiting).text


def mapping_page(person: Person, dataset_id: int, text: str) -> tuple[str, str]:
    """The address of the step, and what it shows."""
    files = {"file": ("export.csv", io.BytesIO(text.encode()))}
    asked = sent(person, f"/datasets/{dataset_id}/import", {"map": "true"}, files=files)
    page = asked.headers["HX-Redirect"]
    return page, visible_text(person.browser.get(page).text)


def test_what_is_still_to_be_chosen_is_called_as_the_form_calls_it(
    annotator: Person, dataset_id: int
) -> None:
    page, shown = mapping_page(annotator, dataset_id, "one,two\nHow much?,Fifty.\n")
    assert "Choose a column for: Who speaks, The words." in shown
    assert "mapping.turns" not in shown
    pairs = visible_text(sent(annotator, f"{page}/preview", {"turns": "pairs", "question": "one"}).text)
    assert "Choose a column for: Answer of sales." in pairs
    assert "1 dialogue comes of the file." in visible_text(
        sent(annotator, f"{page}/preview", {"turns": "pairs", "question": "one", "answer": "two"}).text
    )


def test_a_file_of_nothing_but_columns_has_no_form_that_cannot_be_filled_in(
    annotator: Person, dataset_id: int
) -> None:
    _, shown = mapping_page(annotator, dataset_id, "one,two\n")
    assert "No records were found in this file." in shown
    assert "Who speaks" not in shown


def test_questions_and_answers_under_the_names_of_a_sales_team_are_suggested(
    annotator: Person, dataset_id: int
) -> None:
    for names in ("客户问题,销售回答", "客户,销售", "客户提问,话术"):
        _, shown = mapping_page(annotator, dataset_id, f"序号,{names}\n1,多少钱,三百\n")
        assert "1 dialogue comes of the file." in shown


def test_pasted_text_goes_the_same_way_and_known_layouts_come_in_at_once(
    app: FastAPI, annotator: Person, dataset_id: int
) -> None:
    path = f"/datasets/{dataset_id}/import"
    chat = sent(annotator, path, {"pasted": "Ann: How much?\nShop: Fifty.\nAnn: Good."})
    page = annotator.browser.get(chat.headers["HX-Redirect"])
    assert "This chat" not in page.text
    assert "Ann" in visible_text(page.text)
    known = sent(annotator, path, {"pasted": "客户：多少钱？\n客服：五十。"})
    assert known.headers["HX-Redirect"].startswith(f"/datasets/{dataset_id}/imports/")
    assert stored(app) == [[("user", "多少钱？"), ("assistant", "五十。")]]
    assert sent(annotator, path, {"pasted": " "}).status_code == 422


def test_rest_tries_a_mapping_imports_by_it_and_by_its_name(
    app: FastAPI, annotator: Person, dataset_id: int
) -> None:
    api = annotator.api
    files = {"file": ("export.csv", EXPORT.encode())}
    trial = api.post("/api/v1/import-mappings/trial", files=files).json()
    assert (trial["columns"], trial["suggested"], trial["dialogues"]) == (["who", "room", "words"], None, [])
    yaml = "turns: rows\nconversation: room\nside: who\ntext: words\nsides: {Ann: user, Shop: assistant}\n"
    trial = api.post("/api/v1/import-mappings/trial", files=files, data={"mapping": yaml}).json()
    assert (trial["count"], trial["problem_count"]) == (2, 0)
    assert stored(app) == []

    assert api.put("/api/v1/import-mappings/Our%20exports", json=MAPPING).status_code == 200
    path = f"/api/v1/datasets/{dataset_id}/imports"
    done = api.post(path, files=files, data={"mapping": "Our exports"})
    assert (done.status_code, done.json()["accepted"]) == (201, 2)
    assert api.delete("/api/v1/import-mappings/Our%20exports").status_code == 204
    gone = api.post(path, files=files, data={"mapping": "Our exports"})
    assert gone.status_code == 404
    wrong = api.put("/api/v1/import-mappings/x", json={**MAPPING, "text": ""})
    assert wrong.status_code == 422
    both = api.post(path, files=files, data={"mapping": yaml, "format": "alpaca"})
    assert problem_of(both).startswith("A mapping says itself how the file is laid out.")


@pytest.mark.parametrize(
    "text",
    [
        "[1",
        "{",
        "{}",
        "turns: dance\n",
        "- rows\n",
        '{"turns": "rows", "side": "a"}',
        "a: &a [*a]\n",
        "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
        "turns: rows\nside: a\nside: b\ntext: c\n",
        "turns: 2020-01-01\n",
    ],
)
def test_what_is_no_mapping_is_refused_in_words(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_mapping(text)
    assert "%(" not in str(refused.value)
    assert refused.value.field.startswith("mapping")
    assert ("&" in text) == ("aliases (*)" in str(refused.value))


def test_a_step_with_a_choice_that_there_is_not_names_it_and_a_bad_name_stops_the_import(
    app: FastAPI, annotator: Person, dataset_id: int
) -> None:
    files = {"file": ("export.csv", io.BytesIO(EXPORT.encode()))}
    page = sent(annotator, f"/datasets/{dataset_id}/import", {"map": "true"}, files=files).headers[
        "HX-Redirect"
    ]
    for wrong in ({"turns": "dance"}, {"others": "dance"}, {"side_is": ["dance", "user"]}):
        for path in (page, f"{page}/preview"):
            answer = sent(annotator, path, {**FORM, **wrong})
            assert answer.status_code == 422 or "must be one of" in visible_text(answer.text)
    refused = sent(annotator, page, {**FORM, "name": "{x"})
    assert refused.status_code == 422
    assert "name of a mapping" in refused.text
    assert stored(app) == []
    assert annotator.browser.get(page).status_code == 200


def test_a_file_that_waits_too_long_is_removed(app: FastAPI, annotator: Person) -> None:
    storage = app.state.storage
    upload = staging.stage(
        storage, io.BytesIO(b"x"), annotator.actor, dataset_id=1, filename="a.csv", encoding="auto"
    )
    folder = storage.folder(staging.FOLDER)
    old = time.time() - 2 * 24 * 3600
    for path in folder.iterdir():
        os.utime(path, (old, old))
    staging.sweep(storage)
    assert list(folder.iterdir()) == []
    assert upload.filename == "a.csv"
