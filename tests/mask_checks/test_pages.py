"""Pages of mask checks: what one found, and which ones a version has."""

import pytest
from fastapi import FastAPI

from app.core.database import transaction
from app.core.storage import Storage
from app.masking import MaskSettings
from tests.support.people import Person, visible_text
from tests.support.training import ask_for_check, make_check, make_run, make_version

HTMX = {"HX-Request": "true"}
pytestmark = pytest.mark.usefixtures("silent_bell")


def test_the_mask_check_page_links_each_failure_to_its_token(
    app: FastAPI, annotator: Person, storage: Storage
) -> None:
    with transaction(app.state.engine) as session:
        make_check(session, storage, green=False)
    html = annotator.browser.get("/mask-checks/1").text
    text = visible_text(html)
    assert "Red: 1 conversation fails a check" in text
    assert 'href="/mask-checks/1/conversations/1/mask?base_model=1&amp;max_length=2048&amp;token=7"' in html
    assert "Token 7 &lt;b&gt;" in text
    assert "What does plan 0 cost?" in text
    assert "40–50 % 12" in text
    assert "64–128 10" in text
    assert annotator.browser.get("/mask-checks/9").status_code == 404


def test_a_red_report_lists_the_first_failures_and_explains_each_check(
    app: FastAPI, annotator: Person, storage: Storage
) -> None:
    with transaction(app.state.engine) as session:
        check = make_check(session, storage, green=False)
        assert check.report is not None
        first = check.report.failures[0]
        failures = [first.model_copy(update={"conversation_id": number}) for number in range(1, 13)]
        check.report = check.report.model_copy(update={"failures": failures, "failing_conversations": 12})
        session.add(check)
    html = annotator.browser.get("/mask-checks/1").text
    assert html.count('class="failed-check"') == 10
    assert "2 more are met on the walk." in visible_text(html)
    assert 'href="/help/masking#red"' in html
    assert 'href="/help/masking#check-' in html


def test_a_versions_checks_are_listed_with_their_settings_and_result(
    app: FastAPI, annotator: Person, storage: Storage
) -> None:
    with transaction(app.state.engine) as session:
        run, _job = make_run(session, storage)
        settings = MaskSettings(train_on="last_assistant", handling="per_turn", control_tokens="refuse")  # type: ignore[arg-type]
        ask_for_check(
            session,
            storage,
            dataset_version_id=run.dataset_version_id,
            base_model_id=run.base_model_id,
            settings=settings,
        )
    versions = annotator.browser.get("/datasets/1/versions").text
    assert 'href="/mask-checks?version=1"' in versions
    page = annotator.browser.get("/mask-checks?version=1").text
    text = visible_text(page)
    newer, older = text.index("Last assistant turn only"), text.index("Every assistant turn")
    assert newer < older
    assert "Queued" in text[:older]
    assert "Green" in text[:older]
    said = "One sample per assistant turn · Length limit: 4,096 · Control tokens in messages: Refuse the conversation"
    assert said in text[:older]
    assert "Refuse" not in text[older:]
    assert "Whole conversation · Length limit: 2,048" in text[older:]
    about = visible_text(annotator.browser.get("/mask-checks/1").text)
    assert "Length limit 2,048" in about
    assert 'href="/mask-checks/1"' in page
    assert 'href="/mask-checks/2"' in page
    assert 'hx-get="/mask-checks?version=1"' in page
    fragment = annotator.browser.get("/mask-checks?version=1", headers=HTMX).text
    assert fragment.lstrip().startswith('<div id="mask-checks"')


def test_a_red_check_is_listed_as_red(app: FastAPI, annotator: Person, storage: Storage) -> None:
    with transaction(app.state.engine) as session:
        make_check(session, storage, green=False)
    page = annotator.browser.get("/mask-checks?version=1").text
    assert "Red 1 conversation" in visible_text(page)
    assert "every 3s" not in page


def test_a_version_without_checks_says_when_they_are_made(
    app: FastAPI, annotator: Person, engineer: Person, storage: Storage
) -> None:
    with transaction(app.state.engine) as session:
        make_version(session, storage)
    assert "Not checked yet" in visible_text(annotator.browser.get("/mask-checks?version=1").text)
    assert "/runs/new?version=1" not in annotator.browser.get("/mask-checks?version=1").text
    assert "/runs/new?version=1" in engineer.browser.get("/mask-checks?version=1").text
    assert annotator.browser.get("/mask-checks?version=9").status_code == 404
    assert annotator.browser.get("/mask-checks?version=x").status_code == 422


def test_without_a_version_the_newest_checks_of_all_are_listed(
    app: FastAPI, annotator: Person, storage: Storage
) -> None:
    assert "Not checked yet" in visible_text(annotator.browser.get("/mask-checks").text)
    with transaction(app.state.engine) as session:
        first = make_check(session, storage)
        other = make_version(session, storage, name="Chats")
        settings = MaskSettings(train_on="last_assistant")  # type: ignore[arg-type]
        ask_for_check(
            session,
            storage,
            dataset_version_id=other.id or 0,
            base_model_id=first.base_model_id,
            settings=settings,
        )
    page = annotator.browser.get("/mask-checks").text
    text = visible_text(page)
    assert text.index("Chats v1") < text.index("Calls v1")
    assert {f'href="/mask-checks?version={number}"' in page for number in (1, 2)} == {True}
    assert 'hx-get="/mask-checks?offset=0"' in page
    older = visible_text(annotator.browser.get("/mask-checks?offset=1", headers=HTMX).text)
    assert "Calls v1" in older
    assert "Chats v1" not in older
    assert 'href="/mask-checks"' in annotator.browser.get("/runs").text
