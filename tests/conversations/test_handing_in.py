"""From the annotator to the reviewer and back: handed in, taken back, sent back to whoever did it, undone."""

import json
from typing import Any

from tests.conversations.conftest import MakeConversation
from tests.support.people import Person, visible_text

HTMX = {"HX-Request": "true"}


def decide(person: Person, number: int, state: str, **form: str) -> Any:
    version = person.api.get(f"/api/v1/conversations/{number}").json()["version"]
    data = {"version": version, "state": state, **form}
    return person.browser.post(f"/conversations/{number}/review", data=data, headers=HTMX)


def undo_of(answer: Any) -> str | None:
    address: str | None = json.loads(answer.headers["HX-Trigger"])["toast"]["undo_url"]
    return address


def state_of(person: Person, number: int) -> str:
    state: str = person.api.get(f"/api/v1/conversations/{number}").json()["review_state"]
    return state


def test_what_waits_stands_on_the_home_page_of_whoever_it_waits_for(
    annotator: Person, reviewer: Person, make: MakeConversation, dataset_id: int
) -> None:
    handed_in, sent_back, approved = make(), make(), make()
    for number in (handed_in, sent_back, approved):
        assert decide(annotator, number, "handed_in").status_code == 200
    assert "To review 3" in visible_text(reviewer.browser.get("/datasets").text)
    decide(reviewer, sent_back, "rejected", reason="Too short.")
    decide(reviewer, approved, "approved")
    reviewers, annotators = (
        visible_text(person.browser.get("/datasets").text) for person in (reviewer, annotator)
    )
    assert "To review 1 Calls 1" in reviewers
    assert "Sent back to you" not in reviewers
    assert "Sent back to you 1 Calls 1" in annotators
    assert "To review" not in annotators
    me = annotator.actor.user_id
    address = f"/datasets/{dataset_id}?review_state=rejected&sent_back_to={me}"
    assert f'href="{address.replace("&", "&amp;")}"' in annotator.browser.get("/datasets").text
    listed = annotator.api.get(f"/api/v1/datasets/{dataset_id}/conversations?sent_back_to={me}").json()
    assert [item["id"] for item in listed["conversations"]] == [sent_back]
    counts = annotator.api.get(f"/api/v1/datasets/{dataset_id}").json()
    assert [counts[name] for name in ("draft", "handed_in", "approved", "rejected")] == [0, 1, 1, 1]
    # What nobody handed in goes back to whoever changed it last.
    unasked = make()
    annotator.browser.post(f"/conversations/{unasked}/turns/1", data={"version": 1, "content": "Ten."})
    decide(reviewer, unasked, "rejected", reason="No.")
    assert "Sent back to you 2" in visible_text(annotator.browser.get("/datasets").text)


def test_annotators_hand_in_and_take_back_but_do_not_decide(
    annotator: Person, reviewer: Person, make: MakeConversation
) -> None:
    number, empty = make(), make(messages=[{"role": "user", "content": "Hello?"}])
    assert decide(annotator, empty, "handed_in").status_code == 422
    answer = decide(annotator, number, "handed_in")
    page = annotator.browser.get(f"/conversations/{number}").text
    assert "handed in by test annotator" in visible_text(page)
    assert "Take back" in page
    undo = undo_of(answer)
    assert undo is not None
    assert annotator.browser.post(undo, headers=HTMX).is_success
    assert state_of(annotator, number) == "draft"
    decide(annotator, number, "handed_in")
    assert decide(annotator, number, "draft").status_code == 200
    for state in ("approved", "rejected"):
        assert decide(annotator, number, state, reason="x").status_code == 403
    decide(reviewer, number, "approved")
    for state in ("handed_in", "draft"):
        assert decide(annotator, number, state).status_code == 403


def test_undoing_a_decision_leads_back_to_what_it_was_decided_on(
    annotator: Person, reviewer: Person, make: MakeConversation, dataset_id: int
) -> None:
    handed_in, draft = make(), make()
    decide(annotator, handed_in, "handed_in")
    for state in ("approved", "rejected"):
        undo = undo_of(decide(reviewer, handed_in, state, reason="Why."))
        assert undo is not None
        assert annotator.browser.post(undo, headers=HTMX).status_code == 403
        assert reviewer.browser.post(undo, headers=HTMX).is_success
        assert state_of(reviewer, handed_in) == "handed_in"
    found = reviewer.api.get(f"/api/v1/conversations/{handed_in}").json()
    assert (found["handed_in_by"], found["reviewed_by"], found["review_reason"]) == (
        "test annotator",
        None,
        None,
    )
    many = {"scope": "drafts", "state": "approved"}
    undo = undo_of(reviewer.browser.post(f"/datasets/{dataset_id}/review", data=many, headers=HTMX))
    assert [state_of(reviewer, number) for number in (handed_in, draft)] == ["approved"] * 2
    assert undo is not None
    reviewer.browser.post(undo, headers=HTMX)
    assert [state_of(reviewer, number) for number in (handed_in, draft)] == ["handed_in", "draft"]
    # Whoever edits an approved one hands it in again.
    decide(reviewer, handed_in, "approved")
    version = reviewer.api.get(f"/api/v1/conversations/{handed_in}").json()["version"]
    annotator.browser.post(
        f"/conversations/{handed_in}/turns/1", data={"version": version, "content": "Ten a month."}
    )
    found = reviewer.api.get(f"/api/v1/conversations/{handed_in}").json()
    assert (found["review_state"], found["handed_in_by"]) == ("draft", None)


def test_what_is_not_worth_the_work_is_discarded_and_brought_back(
    annotator: Person, reviewer: Person, make: MakeConversation, dataset_id: int
) -> None:
    number = make()
    page = annotator.browser.get(f"/conversations/{number}").text
    assert 'data-shortcut="d"' in page
    undo = undo_of(decide(annotator, number, "discarded"))
    assert state_of(annotator, number) == "discarded"
    assert undo is not None
    assert annotator.browser.post(undo, headers=HTMX).is_success
    assert state_of(annotator, number) == "draft"
    decide(annotator, number, "discarded", reason="Spam.")
    assert "Bring back" in annotator.browser.get(f"/conversations/{number}").text
    counts = annotator.api.get(f"/api/v1/datasets/{dataset_id}").json()
    assert (counts["discarded"], counts["draft"]) == (1, 0)
    assert "Discarded 1" in visible_text(annotator.browser.get(f"/datasets/{dataset_id}").text)
    # Approving all that waits leaves it, and the same dialogue does not come in again.
    reviewer.browser.post(f"/datasets/{dataset_id}/review", data={"scope": "drafts", "state": "approved"})
    assert state_of(reviewer, number) == "discarded"
    same = annotator.api.get(f"/api/v1/conversations/{number}").json()["messages"]
    made = annotator.api.post(f"/api/v1/datasets/{dataset_id}/conversations", json={"messages": same})
    assert made.status_code == 409
    decide(annotator, number, "draft")
    decide(reviewer, number, "approved")
    assert decide(annotator, number, "discarded").status_code == 403
    many = {"state": "discarded", "conversation_ids": [number]}
    assert reviewer.api.post(f"/api/v1/datasets/{dataset_id}/review", json=many).json()["changed"] == 1


def test_the_last_reasons_are_offered_and_stay_in_the_history(
    annotator: Person, reviewer: Person, make: MakeConversation
) -> None:
    first, second = make(), make()
    for number, reason in ((first, "Too short."), (second, "No price."), (first, "Too short.")):
        assert decide(reviewer, number, "rejected", reason=reason).is_success
        decide(annotator, number, "handed_in")
    chips = reviewer.browser.get(f"/conversations/{second}").text
    assert [chips.count(f'title="{reason}"') for reason in ("Too short.", "No price.")] == [1, 1]
    assert chips.index('title="Too short."') < chips.index('title="No price."')
    assert "Your last reasons" not in annotator.browser.get(f"/conversations/{second}").text
    told = annotator.api.get(f"/api/v1/conversations/{second}/revisions").json()
    assert [line["reason"] for line in told if line["action"] == "rejected"] == ["No price."]
    assert "No price." in visible_text(annotator.browser.get(f"/conversations/{second}").text)
