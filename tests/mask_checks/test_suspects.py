"""The walk through what deserves a look: its order, its reasons, its ways on and back, old reports too."""

import html
import json
import re
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from fastapi import FastAPI

from app.conversations.service import delete_conversation
from app.core.database import transaction
from app.mask_checks.suspects import KIND_LABELS
from app.masking import SuspectKind
from app.runs.preflight.items import Name
from app.runs.service import RunRequest, start_run
from tests.mask_checks.conftest import Checked
from tests.previews.conftest import form_of
from tests.support.people import Person
from tests.support.people import visible_text as text_with_entities
from tests.support.training import ENGINEER

STORED = Path(__file__).parent / "stored"
HTMX = {"HX-Request": "true"}


def visible_text(page: str) -> str:
    return html.unescape(text_with_entities(page))


def page_of(person: Person, red: Checked, conversation_id: int, query: str = "") -> str:
    """The walk's page as a link without settings leads to it."""
    address = f"/mask-checks/{red.check_id}/conversations/{conversation_id}/mask{query}"
    response = person.browser.get(address, follow_redirects=True)
    assert response.status_code == 200
    return response.text


def link(page: str, identity: str) -> str | None:
    found = re.search(rf'<a [^>]*href="([^"]*)"[^>]*id="{identity}"', page)
    return found[1].replace("&amp;", "&") if found else None


def test_the_walk_goes_from_the_worst_to_the_last_and_back_to_the_check(
    annotator: Person, red: Checked
) -> None:
    check = annotator.browser.get(f"/mask-checks/{red.check_id}").text
    assert "Walk through 3 worth a look" in visible_text(check)
    page = page_of(annotator, red, red.unanswered)
    seen = []
    for _ in range(3):
        seen.append(visible_text(page).partition("Worth a look: ")[2][:6])
        onward = link(page, "walk-after")
        assert onward is not None
        page = annotator.browser.get(onward).text
    assert seen == ["1 of 3", "2 of 3", "3 of 3"]
    assert onward == f"/mask-checks/{red.check_id}"
    last = page_of(annotator, red, red.attack)
    assert red.cut == int(re.findall(r"/conversations/(\d+)/", link(last, "walk-before") or "")[0])
    assert link(page_of(annotator, red, red.unanswered), "walk-before") is None


def test_each_page_says_why_and_shows_the_checks_own_settings_at_the_token(
    annotator: Person, red: Checked
) -> None:
    failed = visible_text(page_of(annotator, red, red.unanswered))
    assert "Failed: Something is trained No token is trained" in failed
    cut = page_of(annotator, red, red.cut)
    assert "Tokens beyond the length limit" in visible_text(cut)
    assert re.search(r'data-token="(\d+)"', cut)
    assert 'name="max_length"' in cut
    assert 'value="120"' in cut
    assert '<option value="false" selected>Context only</option>' in re.sub(r"\s+", " ", cut)
    attack = visible_text(page_of(annotator, red, red.attack))
    assert "Turn 1 spells control tokens, which stay ordinary text: <|im_end|> <|im_start|>" in attack


def test_one_kind_can_be_walked_alone(annotator: Person, red: Checked) -> None:
    page = page_of(annotator, red, red.cut, "?only=cut")
    assert "Worth a look: 1 of 1" in visible_text(page)
    assert link(page, "walk-after") == f"/mask-checks/{red.check_id}"
    elsewhere = visible_text(page_of(annotator, red, red.ordinary, "?only=cut"))
    assert "Not among those worth a look" in elsewhere
    address = f"/mask-checks/{red.check_id}/conversations/{red.cut}/mask?only=nonsense"
    assert annotator.browser.get(address, follow_redirects=True).status_code == 422


def test_other_settings_are_named_as_such_and_lead_back(annotator: Person, red: Checked) -> None:
    address = f"/mask-checks/{red.check_id}/conversations/{red.cut}/mask"
    sent = form_of(page_of(annotator, red, red.cut), train_reasoning="false", max_length="")
    answer = annotator.browser.post(address, data=sent, headers=HTMX)
    text = visible_text(answer.text)
    assert "Cut here" not in text
    assert "These are not the settings that were checked." in text
    assert (
        f'href="{address}?base_model={red.model_id}&amp;max_length=120&amp;train_reasoning=false"'
        in answer.text
    )
    assert "These are not the settings" not in visible_text(page_of(annotator, red, red.cut))


def test_a_deleted_conversation_is_walked_as_it_was_frozen(
    app: FastAPI, annotator: Person, red: Checked
) -> None:
    with transaction(app.state.engine) as session:
        delete_conversation(session, red.attack, ENGINEER)
    text = visible_text(page_of(annotator, red, red.attack))
    assert "The conversation has been deleted since" in text
    assert "It is ten a month." in text
    assert "Ignore that" in visible_text(annotator.browser.get(f"/mask-checks/{red.check_id}").text)


def test_the_check_names_the_runs_that_overrode_it(app: FastAPI, annotator: Person, red: Checked) -> None:
    with transaction(app.state.engine) as session:
        request = RunRequest(
            red.check_id,
            confirmed=True,
            override_reason="Known & accepted",
            name="Spring",
            accepted_warnings=tuple(Name),
        )
        start_run(session, ENGINEER, request)
    text = visible_text(annotator.browser.get(f"/mask-checks/{red.check_id}").text)
    assert "Runs on this check" in text
    assert "Spring Mei Known & accepted" in text


def test_reports_without_reasons_are_still_walked(app: FastAPI, annotator: Person, red: Checked) -> None:
    old = json.loads((STORED / "report_first.json").read_text(encoding="utf-8"))
    with transaction(app.state.engine) as session:
        session.execute(
            sa.text("UPDATE mask_check SET report = :report WHERE id = :id"),
            {"report": json.dumps(old), "id": red.check_id},
        )
    assert "Walk through 3" in visible_text(annotator.browser.get(f"/mask-checks/{red.check_id}").text)
    first = page_of(annotator, red, 4)
    assert "Worth a look: 1 of 3" in visible_text(first)
    assert "No token is trained" in visible_text(first)
    assert "The check is older than the reasons" in visible_text(page_of(annotator, red, 2))
    stored = annotator.api.get(f"/api/v1/mask-checks/{red.check_id}").json()["report"]
    assert stored["schema_version"] == 2
    assert stored["settings"]["train_on"] == old["strategy"]


def test_rest_walks_too(annotator: Person, red: Checked) -> None:
    def ask(**params: Any) -> Any:
        return annotator.api.get(f"/api/v1/mask-checks/{red.check_id}/suspects", params=params)

    everyone = ask().json()
    walked = [one["conversation_id"] for one in everyone["suspects"]]
    assert (everyone["total"], walked) == (3, [red.unanswered, red.cut, red.attack])
    failed = everyone["suspects"][0]["reasons"][0]
    assert (failed["kind"], failed["check"]) == ("failed", "trains_something")
    assert everyone["suspects"][1]["reasons"][0]["token"] == 120
    following = ask(after=red.cut, limit=1).json()
    assert [one["conversation_id"] for one in following["suspects"]] == [red.attack]
    assert ask(after=red.attack).json()["suspects"] == []
    assert ask(only="cut").json()["total"] == 1
    assert ask(only="nonsense").status_code == 422
    assert annotator.api.get("/api/v1/mask-checks/99/suspects").status_code == 404


def test_every_kind_of_reason_has_its_words() -> None:
    assert set(KIND_LABELS) == set(SuspectKind)
