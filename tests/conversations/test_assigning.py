"""Conversations are given to people, shared out, found by whose they are, and counted by person."""

from tests.conversations.conftest import MakeConversation
from tests.support.people import Person, problem_of, visible_text

HTMX = {"HX-Request": "true"}


def test_conversations_are_shared_out_and_each_finds_their_own(
    annotator: Person, reviewer: Person, make: MakeConversation, dataset_id: int
) -> None:
    numbers = [make() for _ in range(5)]
    path, api = f"/datasets/{dataset_id}", f"/api/v1/datasets/{dataset_id}"
    me, other = annotator.actor.user_id, reviewer.actor.user_id
    body = {"user_ids": [me], "conversation_ids": numbers[:1]}
    assert annotator.api.post(f"{api}/assign", json=body).status_code == 403
    assert reviewer.api.post(f"{api}/assign", json=body).json() == {"assigned": 1}
    assert reviewer.api.post(f"{api}/assign", json={"user_ids": [me, other]}).json() == {"assigned": 4}

    def ids(query: str) -> list[int]:
        found = annotator.api.get(f"{api}/conversations?{query}").json()["conversations"]
        return [item["id"] for item in found]

    assert ids(f"assigned_to={me}") == [numbers[0], numbers[1], numbers[3]]
    assert ids(f"assigned_to={other}") == [numbers[2], numbers[4]]
    assert ids("assigned_to=nobody") == []
    assert "Yours to work on 3 Calls 3" in visible_text(annotator.browser.get("/datasets").text)
    # Whose it is changes nothing of it: nobody who types meets a conflict.
    assert reviewer.api.get(f"/api/v1/conversations/{numbers[0]}").json()["version"] == 1

    assign = {"ids": [numbers[3]], "assign_to": ""}
    answer = reviewer.browser.post(f"{path}/assign?assigned_to={me}", data=assign, headers=HTMX)
    assert (answer.status_code, answer.text.count('name="ids"')) == (200, 2)
    reviewer.browser.post(f"/conversations/{numbers[3]}/assign", data={"user_id": other}, headers=HTMX)
    assert ids(f"assigned_to={other}") == numbers[2:]
    rejected = {"state": "rejected", "version": 1, "reason": "Ask first."}
    reviewer.api.post(f"/api/v1/conversations/{numbers[0]}/review", json=rejected)
    assert "Sent back to you 1" in visible_text(annotator.browser.get("/datasets").text)
    reviewer.browser.post(f"/conversations/{numbers[0]}/assign", data={"user_id": other}, headers=HTMX)
    assert "Sent back to you 1" in visible_text(reviewer.browser.get("/datasets").text)
    reviewer.browser.post(f"/conversations/{numbers[0]}/assign", data={"user_id": me}, headers=HTMX)
    review = {"state": "discarded", "version": 1}
    annotator.browser.post(f"/conversations/{numbers[1]}/review", data=review, headers=HTMX)
    lines = {line["name"]: line for line in annotator.api.get(f"{api}/people").json()}
    mine, theirs = lines["test annotator"], lines["test reviewer"]
    assert (mine["rejected"], mine["discarded"], theirs["draft"]) == (1, 1, 3)
    assert "test reviewer 3 0 0 0 0 3" in visible_text(annotator.browser.get(f"{path}/people").text)


def test_what_is_nobodys_becomes_the_work_of_whoever_hands_it_in(
    annotator: Person, reviewer: Person, make: MakeConversation, dataset_id: int
) -> None:
    number, left = make(), make()
    version = {"version": 1, "state": "handed_in"}
    annotator.api.post(f"/api/v1/conversations/{number}/review", json=version)
    found = annotator.api.get(f"/api/v1/conversations/{number}").json()
    assert found["assigned_to_user_id"] == annotator.actor.user_id
    page = reviewer.browser.get(f"/datasets/{dataset_id}/people").text
    assert "1 draft is nobody's" in visible_text(page)
    assert "is nobody's" not in annotator.browser.get(f"/datasets/{dataset_id}/people").text
    share = {"user_ids": [annotator.actor.user_id]}
    reviewer.browser.post(f"/datasets/{dataset_id}/people", data=share)
    assert reviewer.api.get(f"/api/v1/conversations/{left}").json()["assigned_to_user_id"] is not None
    for body, said in (
        ({"user_ids": [999], "conversation_ids": [left]}, "number 999"),
        ({"user_ids": []}, "at least one person"),
        ({"user_ids": [], "conversation_ids": [999]}, "no conversation 999"),
    ):
        assert said in problem_of(reviewer.api.post(f"/api/v1/datasets/{dataset_id}/assign", json=body))
