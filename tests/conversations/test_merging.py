"""Two people at one conversation: what they change in different places is merged, what they change in one is a conflict."""

import json
from typing import Any

import pytest

from tests.conversations.conftest import DIALOGUE, MakeConversation
from tests.support.people import Person

HTMX = {"HX-Request": "true"}


def save(person: Person, number: int, path: str, version: int, **form: Any) -> Any:
    data = {"version": version, **form}
    return person.browser.post(f"/conversations/{number}/{path}", data=data, headers=HTMX)


def stored(person: Person, number: int) -> dict[str, Any]:
    found: dict[str, Any] = person.api.get(f"/api/v1/conversations/{number}").json()
    return found


def words(person: Person, number: int) -> list[str]:
    return [message["content"] for message in stored(person, number)["messages"]]


def test_edits_of_different_turns_are_merged_and_the_page_gets_the_other_turns(
    annotator: Person, reviewer: Person, make: MakeConversation
) -> None:
    number = make()
    save(reviewer, number, "turns/3", 1, content="Theirs.", began_with=DIALOGUE[3]["content"])
    answer = save(annotator, number, "turns/1", 1, content="Mine.", began_with=DIALOGUE[1]["content"])
    assert answer.status_code == 200
    assert words(annotator, number)[1::2] == ["Mine.", "Theirs."]
    # All but the turn that is being written in, so that the caret stays.
    assert 'id="turn-4"' in answer.text
    assert 'id="turn-2"' not in answer.text
    assert 'id="turns"' not in answer.text
    assert json.loads(answer.headers["HX-Trigger"])["toast"]["kind"] == "info"
    assert 'id="conversation-version" value="3"' in answer.text


def test_a_turn_is_found_again_where_others_were_added_or_taken_away(
    annotator: Person, reviewer: Person, make: MakeConversation
) -> None:
    number = make()
    save(reviewer, number, "turns/0/change", 1, action="add")
    answer = save(annotator, number, "turns/3", 1, content="Mine.", began_with=DIALOGUE[3]["content"])
    assert words(annotator, number)[4] == "Mine."
    assert 'id="turns"' in answer.text
    assert "data-focus-text" in answer.text
    # What was deleted twice is gone once: the second one sees that it is no longer there.
    assert save(reviewer, number, "turns/2/change", 3, action="delete").status_code == 200
    assert save(annotator, number, "turns/2/change", 3, action="delete").status_code == 409
    # The flag of a turn that stayed as it was.
    assert save(annotator, number, "turns/4/change", 3, action="train:always").status_code == 200
    assert [message.get("train") for message in stored(annotator, number)["messages"]] == [None] * 3 + [True]


def test_the_same_turn_is_a_conflict_however_the_typing_shares_revisions(
    annotator: Person, reviewer: Person, make: MakeConversation
) -> None:
    number = make()
    save(reviewer, number, "turns/1", 1, content="One", began_with=DIALOGUE[1]["content"])
    # The annotator opens the page here; the reviewer types on, in the same revision.
    save(reviewer, number, "turns/1", 2, content="One two", began_with="One")
    for began in ({"began_with": "One"}, {}):
        answer = save(annotator, number, "turns/1", 2, content="Mine", **began)
        assert answer.status_code == 409
        assert save(annotator, number, "turns/1/change", 2, action="train:never").status_code == 409
    assert "<mark>One two</mark>" in answer.text
    # Nor is a page of the newest version trusted whose text of this turn is older.
    assert save(annotator, number, "turns/1", 3, content="Mine", began_with="One").status_code == 409
    assert words(annotator, number)[1] == "One two"


def test_line_breaks_as_browsers_hold_them_are_no_conflict(annotator: Person, make: MakeConversation) -> None:
    number = make(messages=[{"role": "user", "content": "a\r\nb\rc"}, *DIALOGUE[1:]])
    answer = save(annotator, number, "turns/0", 1, content="a\r\nb", began_with="a\r\nb\r\nc")
    assert (answer.status_code, words(annotator, number)[0]) == (200, "a\nb")


@pytest.mark.parametrize(
    ("theirs", "status", "after"),
    [
        ({"outcome": "won"}, 200, ("won", "demo")),
        ({"stage": "demo"}, 200, (None, "demo")),
        ({"stage": "closing"}, 409, (None, "closing")),
    ],
)
def test_labels_are_merged_one_by_one(
    annotator: Person,
    reviewer: Person,
    make: MakeConversation,
    theirs: dict[str, str],
    status: int,
    after: tuple[str | None, str],
) -> None:
    number = make()
    save(reviewer, number, "labels", 1, **theirs)
    answer = save(annotator, number, "labels", 1, stage="demo")
    found = stored(annotator, number)
    assert (answer.status_code, (found["outcome"], found["stage"])) == (status, after)
    assert ("<mark>" in answer.text) is (status == 409)
