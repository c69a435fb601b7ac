"""A new dialogue that begins before the old answer has ended, and a question that did not reach the server."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect
from sqlmodel import col, select

from app.accounts.access import SESSION_COOKIE
from app.core.database import reading, transaction
from app.jobs import service as jobs
from app.jobs.models import Job, JobKind, JobState
from app.sentences import Failure
from tests.support.live import serving, signed_in
from tests.support.people import Person
from tests.support.training import make_run

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("silent_bell")]


@pytest.fixture
def page(app: FastAPI, browser: Browser, annotator: Person) -> Iterator[Page]:
    """The playground with one tuned model."""
    with transaction(app.state.engine) as session:
        run, _job = make_run(session, app.state.storage)
        run.adapter_key = "jobs/9/1/adapter"
        session.add(run)
    with serving(app) as url, signed_in(browser, url, annotator) as context:
        page = context.new_page()
        page.goto(f"{url}/playground")
        yield page


def chats(app: FastAPI) -> list[Job]:
    with reading(app.state.engine) as session:
        found = list(session.exec(select(Job).where(Job.kind == JobKind.CHAT).order_by(col(Job.id))))
        session.expunge_all()
        return found


# What a page keeps of the answers that it waits for, for the case that it is loaded again.
PENDING = """count => Object.entries(sessionStorage).some(([name, kept]) =>
    name.startsWith("chat-") && Object.values(JSON.parse(kept).pending).filter((asked) => asked.job).length === count)"""


def wait_for_chats(app: FastAPI, page: Page, count: int, pending: int) -> None:
    """Until the page knows the jobs of so many answers; how many were asked for by then."""
    page.wait_for_function(PENDING, arg=pending)
    assert len(chats(app)) == count


def say(page: Page, words: str) -> None:
    page.locator("[name=message]").fill(words)
    page.locator("[name=message]").press("Enter")


def test_a_new_dialogue_does_not_begin_with_the_old_ones_answer_and_a_failed_one_is_asked_again(
    app: FastAPI, page: Page
) -> None:
    say(page, "Hello")
    expect(page.locator("#chat-stop")).to_be_visible()
    wait_for_chats(app, page, 2, pending=2)
    claims = []
    for job in chats(app):
        with transaction(app.state.engine) as session:
            claim = jobs.claim(session, job.id or 0, owner="w", lease_seconds=30)
            assert claim is not None
            jobs.heartbeat(session, claim, lease_seconds=30, events=[("delta", {"text": "Half an ans"})])
            claims.append(claim)
    assert len(claims) == 2
    expect(page.get_by_text("Half an ans")).to_have_count(2)
    page.locator("#chat-reset").click()
    for claim in claims:
        with transaction(app.state.engine) as session:
            jobs.finish(session, claim, JobState.CANCELLED)
    expect(page.locator("#chat-stop")).to_be_hidden()
    say(page, "Again")
    expect(page.locator("#chat-stop")).to_be_visible()
    wait_for_chats(app, page, 4, pending=2)
    # Loaded again, the page waits for the same answers.
    page.reload()
    expect(page.get_by_text("Again", exact=True)).to_have_count(2)
    expect(page.locator("#chat-stop")).to_be_visible()
    for job in chats(app)[2:]:
        assert [message["content"] for message in job.payload["messages"]] == ["Again"]
    assert len(chats(app)) == 4

    base, tuned = chats(app)[2:]
    why = Failure.of("died", "The chat process ended unexpectedly; ask again to start a new one.")
    for job, state, failure in ((base, JobState.FAILED, why), (tuned, JobState.SUCCEEDED, None)):
        with transaction(app.state.engine) as session:
            claim = jobs.claim(session, job.id or 0, owner="w", lease_seconds=30)
            assert claim is not None
            said = [("delta", {"text": "Hello to you"})] if failure is None else []
            jobs.finish(session, claim, state, failure=failure, events=said)
    expect(page.get_by_text("The chat process ended unexpectedly")).to_be_visible()
    expect(page.locator(".conversation > li > .bubble--assistant")).to_have_count(1)
    page.reload()
    expect(page.get_by_text("Hello to you")).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    expect(page.locator("#chat-stop")).to_be_visible()
    wait_for_chats(app, page, 5, pending=1)
    (asked_again,) = chats(app)[4:]
    assert asked_again.payload["sides"] == base.payload["sides"]
    assert asked_again.payload["messages"] == base.payload["messages"]


def test_a_question_that_met_a_session_that_was_over_waits_for_whoever_signs_in_again(
    app: FastAPI, page: Page
) -> None:
    cookies = page.context.cookies()
    page.context.clear_cookies(name=SESSION_COOKIE)
    say(page, "How much is it?")
    page.wait_for_url("**/login?next=/playground")
    page.context.add_cookies([cookie for cookie in cookies if cookie["name"] == SESSION_COOKIE])  # type: ignore[misc]
    page.goto(page.url.replace("/login?next=", ""))
    expect(page.get_by_text("How much is it?", exact=True)).to_have_count(2)
    expect(page.get_by_text("It did not reach the server.")).to_have_count(2)
    assert chats(app) == []
    for left in (1, 0):
        page.get_by_role("button", name="Try again").first.click()
        expect(page.get_by_role("button", name="Try again")).to_have_count(left)
    page.wait_for_function(PENDING, arg=2)
    assert [job.payload["messages"][-1]["content"] for job in chats(app)] == ["How much is it?"] * 2
