"""The conversation page as plain forms and as htmx sees it: roles, conflicts, escaping, the way back."""

import json
import re

import pytest

from app.conversations.models import ReviewState
from tests.conversations.conftest import DIALOGUE, MakeConversation
from tests.support.people import Person, problem_of, visible_text

HTMX = {"HX-Request": "true"}
NASTY = '<script>alert(1)</script>\n  {{ 111*111 }} <img src=x onerror=alert(1)> <b hx-get="/x">'


def content_of(person: Person, number: int) -> list[str]:
    return [m["content"] for m in person.api.get(f"/api/v1/conversations/{number}").json()["messages"]]


def test_a_turn_is_saved_by_a_plain_form_and_leads_back_to_it(
    annotator: Person, make: MakeConversation
) -> None:
    number = make()
    form = {"version": 1, "content": "One.\r\n\r\nTwo."}
    answer = annotator.browser.post(f"/conversations/{number}/turns/1?review_state=draft", data=form)
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        f"/conversations/{number}?review_state=draft#turn-2",
    )
    assert content_of(annotator, number)[1] == "One.\n\nTwo."


def test_htmx_gets_the_new_version_and_not_the_text_being_typed(
    annotator: Person, make: MakeConversation
) -> None:
    number = make()
    form = {"version": 1, "content": "Changed."}
    answer = annotator.browser.post(f"/conversations/{number}/turns/1", data=form, headers=HTMX)
    assert answer.status_code == 200
    assert 'id="conversation-version" value="2"' in answer.text
    assert 'id="turns"' not in answer.text


def test_a_stale_save_shows_both_texts_and_keeps_the_stored_one(
    annotator: Person, reviewer: Person, make: MakeConversation
) -> None:
    number = make()
    path = f"/conversations/{number}/turns/1"
    reviewer.browser.post(path, data={"version": 1, "content": "Theirs."})
    for headers in (HTMX, {}):
        answer = annotator.browser.post(path, data={"version": 1, "content": "Mine."}, headers=headers)
        text = visible_text(answer.text)
        assert answer.status_code == 409
        assert "test reviewer changed this conversation meanwhile" in text
        assert "Mine." in text
        assert "<mark>Theirs</mark>." in answer.text
        assert ("<html" in answer.text) is (headers == {})
    assert content_of(annotator, number)[1] == "Theirs."
    settled = annotator.browser.post(
        path, data={"version": 2, "content": "Both.", "settles_conflict": "true"}, headers=HTMX
    )
    assert 'id="turns"' in settled.text
    assert content_of(annotator, number)[1] == "Both."


def test_a_save_whose_answer_was_lost_is_not_a_conflict(annotator: Person, make: MakeConversation) -> None:
    number = make()
    form = {"version": 1, "content": "Changed."}
    for _attempt in range(2):
        answer = annotator.browser.post(f"/conversations/{number}/turns/1", data=form, headers=HTMX)
        assert answer.status_code == 200


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("turns/1/change", {"action": "delete"}),
        ("tools", {"tools": "[]"}),
        ("restore/1", {}),
        ("review", {"state": "approved"}),
    ],
)
def test_every_other_change_of_an_old_version_is_a_conflict_too(
    reviewer: Person, make: MakeConversation, path: str, form: dict[str, str]
) -> None:
    number = make()
    reviewer.browser.post(f"/conversations/{number}/turns/1", data={"version": 1, "content": "Newer."})
    answer = reviewer.browser.post(
        f"/conversations/{number}/{path}", data={"version": 1, **form}, headers=HTMX
    )
    assert answer.status_code == 409
    found = reviewer.api.get(f"/api/v1/conversations/{number}").json()
    assert (found["version"], found["review_state"], found["outcome"]) == (2, "draft", None)


def test_turns_are_added_moved_flagged_and_given_another_speaker(
    annotator: Person, make: MakeConversation
) -> None:
    number = make()
    actions = [
        (0, "add"),
        (1, "role:system"),
        (1, "up"),
        (2, "train:never"),
        (2, "train:always"),
        (4, "delete"),
    ]
    for version, (turn, action) in enumerate(actions, start=1):
        form = {"version": version, "action": action}
        answer = annotator.browser.post(
            f"/conversations/{number}/turns/{turn}/change", data=form, headers=HTMX
        )
        assert answer.status_code == 200, action
    assert "undo_url" in answer.headers["HX-Trigger"]
    found = annotator.api.get(f"/api/v1/conversations/{number}").json()["messages"]
    assert [message["role"] for message in found] == ["system", "user", "assistant", "user"]
    assert [message.get("train") for message in found] == [None, None, True, None]
    undone = annotator.browser.post(f"/conversations/{number}/restore/6", data={"version": 7}, headers=HTMX)
    assert undone.status_code == 200
    assert content_of(annotator, number)[4] == DIALOGUE[3]["content"]


@pytest.mark.parametrize("action", ["explode", "role:narrator", "train:sometimes", "delete"])
def test_an_impossible_change_is_refused_in_words(
    annotator: Person, make: MakeConversation, action: str
) -> None:
    number = make(messages=DIALOGUE[:1])
    answer = annotator.browser.post(
        f"/conversations/{number}/turns/0/change", data={"version": 1, "action": action}, headers=HTMX
    )
    assert answer.status_code == 422
    assert problem_of(answer)
    assert content_of(annotator, number) == ["What does it cost?"]


def test_an_approval_says_what_editing_means_and_is_undone_from_its_toast(
    annotator: Person, reviewer: Person, make: MakeConversation
) -> None:
    number, other = make(), make()
    path = f"/conversations/{number}"
    answer = reviewer.browser.post(f"{path}/review", data={"version": 1, "state": "approved"}, headers=HTMX)
    assert "Editing the dialogue sends it back to draft" in visible_text(answer.text)
    assert "Approved by test reviewer" in visible_text(annotator.browser.get(path).text)
    undo = json.loads(answer.headers["HX-Trigger"])["toast"]["undo_url"]
    assert annotator.browser.post(undo, headers=HTMX).status_code == 403
    elsewhere = reviewer.browser.post(
        undo, headers={**HTMX, "HX-Current-URL": f"http://testserver/conversations/{other}?q=a"}
    )
    assert (elsewhere.status_code, elsewhere.text) == (204, "")
    assert "It is a draft again" in elsewhere.headers["HX-Trigger"]
    assert "Editing the dialogue" not in annotator.browser.get(path).text
    assert reviewer.browser.post(undo, headers=HTMX).status_code == 409


def test_annotators_neither_see_nor_have_what_reviewers_do(
    annotator: Person, reviewer: Person, make: MakeConversation
) -> None:
    number = make()
    page = annotator.browser.get(f"/conversations/{number}").text
    for name in ('value="approved"', "reject-dialog", f"/conversations/{number}/delete"):
        assert name not in page
        assert name in reviewer.browser.get(f"/conversations/{number}").text
    for path, form in (("review", {"version": 1, "state": "approved"}), ("delete", {})):
        assert annotator.browser.post(f"/conversations/{number}/{path}", data=form).status_code == 403
    assert content_of(annotator, number)


def test_the_bar_of_a_phone_offers_the_decision_and_the_next_and_changes_with_the_review(
    annotator: Person, reviewer: Person, make: MakeConversation
) -> None:
    number, following = make(), make()
    path = f"/conversations/{number}"

    def bar(html: str) -> str:
        form = re.search(r'<form [^>]*id="decision-bar".*?</form>', html, re.DOTALL)
        assert form is not None
        return form.group()

    page = reviewer.browser.get(path).text
    assert {"Approve", "Send back…"} == set(re.findall(r"</svg>(.*?)</button>", bar(page)))
    assert f'action-bar__part" href="/conversations/{following}"' in page
    assert {"Hand in"} == set(re.findall(r"</svg>(.*?)</button>", bar(annotator.browser.get(path).text)))
    decided = {"version": 1, "state": "approved"}
    answer = bar(reviewer.browser.post(f"{path}/review", data=decided, headers=HTMX).text)
    assert 'hx-swap-oob="true"' in answer
    assert 'name="version" value="2"' in answer
    assert {"Send back…", "Reopen"} == set(re.findall(r"</svg>(.*?)</button>", answer))


def test_an_annotator_hands_in_again_what_was_sent_back(
    annotator: Person, reviewer: Person, make: MakeConversation
) -> None:
    number = make()
    reviewer.browser.post(
        f"/conversations/{number}/review", data={"version": 1, "state": "rejected", "reason": "Too short."}
    )
    page = annotator.browser.get(f"/conversations/{number}").text
    assert "Too short." in page
    assert "Hand in again" in page
    form = {"version": 2, "state": "draft"}
    assert annotator.browser.post(f"/conversations/{number}/review", data=form).status_code == 303
    found = annotator.api.get(f"/api/v1/conversations/{number}").json()
    assert found["review_state"] == ReviewState.DRAFT


def test_a_plain_form_that_is_refused_shows_the_reason_on_the_page(
    reviewer: Person, make: MakeConversation
) -> None:
    number = make(messages=DIALOGUE[:1])
    answer = reviewer.browser.post(
        f"/conversations/{number}/review", data={"version": 1, "state": "approved"}
    )
    assert answer.status_code == 422
    assert "There is no assistant turn with text" in visible_text(answer.text)
    labels = {"version": 1, "outcome": "won", "stage": "x" * 61}
    answer = reviewer.browser.post(f"/conversations/{number}/labels", data=labels)
    assert "longer than 60 characters" in visible_text(answer.text)
    assert reviewer.api.get(f"/api/v1/conversations/{number}").json()["outcome"] is None


def test_dialogue_text_is_text(reviewer: Person, make: MakeConversation) -> None:
    number = make(
        messages=[{"role": "user", "content": NASTY}, {"role": "assistant", "content": "\n Hi"}],
        tags=[NASTY[:25]],
    )
    reviewer.browser.post(
        f"/conversations/{number}/review", data={"version": 1, "state": "rejected", "reason": NASTY}
    )
    stale = reviewer.browser.post(
        f"/conversations/{number}/turns/0",
        data={"version": 1, "content": "Mine", "began_with": "Older"},
        headers=HTMX,
    )
    for html in (reviewer.browser.get(f"/conversations/{number}").text, stale.text):
        assert "<script>alert" not in html
        assert "<img src=x" not in html
        assert "<b hx-get" not in html
        assert "12321" not in html
    assert stale.status_code == 409
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\n  {{ 111*111 }}" in re.sub("</?mark>", "", stale.text)
    # A leading line break survives: browsers drop the first one after the tag.
    assert ">\n\n Hi</textarea>" in reviewer.browser.get(f"/conversations/{number}").text


def test_previous_and_next_stay_within_the_filter(annotator: Person, make: MakeConversation) -> None:
    first, other, last = make(outcome="won"), make(outcome="lost"), make(outcome="won")
    page = annotator.browser.get(f"/conversations/{first}?outcome=won&q=cost").text
    assert f'href="/conversations/{last}?outcome=won&amp;q=cost"' in page
    assert f"/conversations/{other}" not in page
    assert "1 of 2" in visible_text(page)


def test_a_suggested_label_is_stored_by_its_key_in_any_language(
    annotator: Person, make: MakeConversation
) -> None:
    number = make()
    for version, (typed, kept) in enumerate(
        [("价格", "price"), ("Not the decision maker", "authority"), ("  warranty ", "warranty"), ("", None)],
        start=1,
    ):
        form = {"version": version, "objection": typed}
        assert annotator.browser.post(f"/conversations/{number}/labels", data=form).status_code == 303
        assert annotator.api.get(f"/api/v1/conversations/{number}").json()["objection"] == kept


def test_deleting_leads_to_the_next_of_the_list(
    reviewer: Person, make: MakeConversation, dataset_id: int
) -> None:
    first, last = make(), make()
    gone = reviewer.browser.post(f"/conversations/{first}/delete?review_state=draft")
    assert gone.headers["location"] == f"/conversations/{last}?review_state=draft"
    assert (
        reviewer.browser.post(f"/conversations/{last}/delete").headers["location"]
        == f"/datasets/{dataset_id}"
    )
    missing = reviewer.browser.get(f"/conversations/{first}")
    assert missing.status_code == 404
    assert "It may have been deleted." in visible_text(missing.text)


def test_rest_edits_exactly_the_named_version(annotator: Person, make: MakeConversation) -> None:
    number = make()
    body = {"version": 1, "messages": DIALOGUE[:2], "labels": {"outcome": "won"}}
    found = annotator.api.patch(f"/api/v1/conversations/{number}", json=body).json()
    assert (found["version"], found["outcome"], len(found["messages"])) == (3, "won", 2)
    stale = annotator.api.patch(f"/api/v1/conversations/{number}", json=body)
    assert stale.status_code == 409
    assert "changed this conversation meanwhile" in problem_of(stale)
    bad = {"version": 3, "messages": [{"role": "narrator", "content": "x"}]}
    assert annotator.api.patch(f"/api/v1/conversations/{number}", json=bad).status_code == 422
