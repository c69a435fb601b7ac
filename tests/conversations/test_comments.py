"""Comments stay with the words they are about, are settled, and are taken away by whoever may."""

from typing import Any

from tests.conversations.conftest import DIALOGUE, MakeConversation
from tests.support.people import Person, problem_of, visible_text

HTMX = {"HX-Request": "true"}


def test_a_comment_on_a_turn_goes_where_its_words_go(
    annotator: Person, reviewer: Person, make: MakeConversation
) -> None:
    number = make()
    path, api = f"/conversations/{number}", f"/api/v1/conversations/{number}"
    answer = reviewer.browser.post(f"{path}/comments", data={"turn": "3", "text": " Net? "}, headers=HTMX)
    assert 'id="comments-4" hx-swap-oob="true"' in answer.text
    reviewer.api.post(f"{api}/comments", json={"text": "A good one."})

    def comments() -> list[tuple[str, Any, bool]]:
        found = annotator.api.get(f"{api}/comments").json()
        return [(item["text"], item["turn"], item["is_gone"]) for item in found]

    assert comments() == [("Net?", 3, False), ("A good one.", None, False)]
    reordered = {"version": 1, "messages": [DIALOGUE[0], *DIALOGUE[2:], {**DIALOGUE[1]}]}
    annotator.api.patch(api, json=reordered)
    assert comments()[0] == ("Net?", 2, False)
    changed = [DIALOGUE[0], DIALOGUE[2], {**DIALOGUE[3], "content": "Then 348 net."}]
    annotator.api.patch(api, json={"version": 2, "messages": changed})
    assert comments()[0] == ("Net?", None, True)
    page = visible_text(annotator.browser.get(path).text)
    assert "about words that have changed since: “Then 348 a month.”" in page
    assert "2 of 2 open" in page


def test_comments_are_settled_by_anybody_and_deleted_by_their_author_or_a_reviewer(
    annotator: Person, reviewer: Person, make: MakeConversation
) -> None:
    number, other = make(), make()
    path, api = f"/conversations/{number}", f"/api/v1/conversations/{number}/comments"
    theirs = reviewer.api.post(api, json={"text": "Shorter.", "turn": 1}).json()["id"]
    mine = annotator.api.post(api, json={"text": "Done?"}).json()["id"]
    annotator.browser.post(f"{path}/comments/{theirs}/settle", data={"is_settled": "true"}, headers=HTMX)
    found = annotator.api.get(api).json()[0]
    assert (found["settled_by"], found["turn"]) == ("test annotator", 1)
    assert "done, says test annotator" in visible_text(reviewer.browser.get(path).text)
    assert annotator.api.patch(f"{api}/{theirs}", json={"is_settled": False}).json()["settled_at"] is None
    assert annotator.api.delete(f"{api}/{theirs}").status_code == 403
    elsewhere = f"/api/v1/conversations/{other}/comments/{mine}"
    assert "no such comment" in problem_of(annotator.api.delete(elsewhere))
    assert annotator.api.delete(f"{api}/{mine}").status_code == 204
    reviewer.browser.post(f"{path}/comments/{theirs}/delete", headers=HTMX)
    assert annotator.api.get(api).json() == []
    for body in ({"text": " "}, {"text": "x", "turn": 9}, {"text": "x" * 2001}):
        assert annotator.api.post(api, json=body).status_code == 422
    assert "1 to 2,000 characters" in annotator.browser.post(f"{path}/comments", data={"text": ""}).text
