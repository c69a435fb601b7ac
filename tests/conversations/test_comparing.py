"""What a change changed: by turn and word, labels and tools; shown in the history before one restores."""

from typing import Any

from app.conversations.comparing import FieldChange, compare
from tests.conversations.conftest import MakeConversation
from tests.support.people import Person, visible_text


def say(role: str, content: str, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


BEFORE = [
    say("user", "价格是多少？"),
    say("assistant", "价格是20元。"),
    say("user", "Fine."),
    say("assistant", "Bye."),
]


def kinds(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[tuple[str, int]]:
    found = compare({"messages": before}, {"messages": after})
    return [(turn.kind, turn.number) for turn in found.turns]


def test_an_edited_turn_is_marked_by_the_character() -> None:
    after = [BEFORE[0], say("assistant", "价格是30元。", train=True), *BEFORE[2:]]
    (turn,) = compare({"messages": BEFORE}, {"messages": after}).turns
    assert turn.words == [("价格是", ""), ("20", "removed"), ("30", "added"), ("元。", "")]
    assert turn.fields == [FieldChange("train", None, True)]


def test_turns_that_came_and_went_are_told_from_edited_ones() -> None:
    assert kinds(BEFORE, BEFORE) == []
    assert kinds(BEFORE, BEFORE[:2]) == [("removed", 3), ("removed", 4)]
    assert kinds(BEFORE[1:], BEFORE) == [("added", 1)]
    # One was edited, the two behind it are gone.
    assert kinds(BEFORE, [BEFORE[0], say("assistant", "30")]) == [
        ("edited", 2),
        ("removed", 3),
        ("removed", 4),
    ]
    assert kinds(BEFORE, [say("system", BEFORE[0]["content"]), *BEFORE[1:]]) == [("edited", 1)]


def test_labels_and_tools_are_compared_too() -> None:
    tool = {"type": "function", "function": {"name": "price"}}
    old = {"messages": BEFORE, "outcome": None, "tags": []}
    found = compare(old, {"messages": BEFORE, "outcome": "won", "tools": [tool]})
    assert found.labels == [FieldChange("outcome", None, "won")]
    assert [mark for _text, mark in found.tools] == ["added"]
    assert compare(old, {"messages": BEFORE, "tools": []}).is_empty


def test_a_revision_unfolds_to_what_it_changed_and_what_restoring_would(
    annotator: Person, make: MakeConversation
) -> None:
    number = make(messages=BEFORE)
    base = f"/conversations/{number}"
    annotator.browser.post(f"{base}/turns/1", data={"version": 1, "content": "价格是<b>30元。"})
    annotator.browser.post(f"{base}/labels", data={"version": 2, "outcome": "won"})
    assert f'hx-get="{base}/history/2"' in annotator.browser.get(base).text
    edited = annotator.browser.get(f"{base}/history/2", headers={"HX-Request": "true"}).text
    assert "<html" not in edited
    assert "<del>20</del><ins>&lt;b&gt;30</ins>" in edited
    assert "Restoring it now would change Outcome : Won → not labelled" in visible_text(edited)
    newest = visible_text(annotator.browser.get(f"{base}/history/3").text)
    assert "Outcome : not labelled → Won" in newest
    assert "Restoring" not in newest
    first = annotator.browser.get(f"{base}/history/1").text
    assert "The history begins here." in first
    assert "<del>&lt;b&gt;30</del><ins>20</ins>" in first
    unknown = annotator.browser.get(f"{base}/history/9")
    assert unknown.status_code == 404
    assert "no revision 9" in visible_text(unknown.text)
