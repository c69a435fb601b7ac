"""Who did something: by id through every door, beside the name as it was."""

import re
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from sqlmodel import select

from app.accounts.models import ApiToken
from app.accounts.who import spoken_name
from app.core.database import reading
from app.core.i18n import use_locale
from tests.support.people import Person

PROJECT: Final = Path(__file__).parents[2]
DIALOGUE = [
    {"role": "user", "content": "What does it cost?"},
    {"role": "assistant", "content": "Ten a month."},
]
LINES = (
    '{"messages": [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Good day."}]}\n'
)


def who(answer: dict[str, Any], name: str = "created_by") -> tuple[str | None, int | None, int | None]:
    return answer[name], answer[f"{name}_user_id"], answer[f"{name}_token_id"]


def test_what_scripts_and_browsers_make_and_review_names_person_and_token_by_id(
    app: FastAPI, engineer: Person
) -> None:
    user_id, name = engineer.actor.user_id, engineer.actor.name
    with reading(app.state.engine) as session:
        token_id = session.exec(select(ApiToken.id).where(ApiToken.user_id == user_id)).one()
    by_token, by_browser = (f"{name} (test)", user_id, token_id), (name, user_id, None)

    dataset = engineer.api.post("/api/v1/datasets", json={"name": "Calls"}).json()
    assert who(dataset) == by_token
    rest = f"/api/v1/datasets/{dataset['id']}"
    report = engineer.browser.post(f"{rest}/imports", files={"file": ("a.jsonl", LINES)}).json()
    assert (report["accepted"], who(report)) == (1, by_browser)
    written = engineer.api.post(f"{rest}/conversations", json={"messages": DIALOGUE}).json()
    assert who(written, "updated_by") == by_token
    assert who(written, "reviewed_by") == (None, None, None)

    review = {"state": "approved"}
    assert engineer.api.post(f"{rest}/review", json=review).json()["changed"] == 2
    found = engineer.api.get(f"{rest}/conversations").json()["conversations"]
    assert [who(one, "reviewed_by") for one in found] == [by_token] * 2
    imported = next(one["id"] for one in found if one["id"] != written["id"])
    history = engineer.api.get(f"/api/v1/conversations/{imported}/revisions").json()
    assert [(line["action"], who(line, "author")) for line in history] == [
        ("approved", by_token),
        ("import", by_browser),
    ]
    version = engineer.browser.post(f"{rest}/versions").json()
    assert who(version) == by_browser


def test_names_that_rows_keep_are_shown_as_the_reader_says_them() -> None:
    """A name goes through `person` wherever a page shows it, so that the command line has a name in each language."""
    kept = re.compile(
        r"\b\w+(?:\.\w+)*\.(?:created_by|updated_by|reviewed_by|confirmed_by|author|actor)\b(?!_)"
    )
    shown = re.compile(r"\{\{.*?\}\}|name=[\w.|]+|\(_\(\"[^\"]+ by\"\), [^,]+")
    bare = [
        f"{page.name}: {found}"
        for page in sorted((PROJECT / "templates").rglob("*.html"))
        for found in shown.findall(page.read_text(encoding="utf-8"))
        if (name := kept.search(found)) and f"{name.group()}|person" not in found.replace(' or "—")', "")
    ]
    assert bare == []
    assert spoken_name("local (command line)") == "the command line"
    assert (spoken_name("Mei"), spoken_name(None)) == ("Mei", "")
    with use_locale("zh-CN"):
        assert spoken_name("local (command line)") == "本机命令行"
