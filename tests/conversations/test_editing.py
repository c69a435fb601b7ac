"""Changes to conversations on SQLite and PostgreSQL: exactly the version a person saw, each with a revision."""

import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlmodel import Session, select

from app.accounts.who import Who
from app.conversations import bulk_review, drafts, review, revisions, service, turns
from app.conversations.conflicts import text_now
from app.conversations.models import Conversation, ConversationRevision, ReviewState
from app.core.database import transaction
from app.core.errors import Conflict, Invalid, NotFound
from app.datasets import service as datasets
from app.dialogue.conversation import Message
from app.dialogue.roles import Role
from tests.conversations.conftest import ANN, BOB, DIALOGUE, add_conversation
from tests.support.people import Person

APPROVED, REJECTED, DRAFT = ReviewState.APPROVED, ReviewState.REJECTED, ReviewState.DRAFT


@pytest.fixture
def number(engine: Engine) -> int:
    with transaction(engine) as session:
        dataset = datasets.create_dataset(session, ANN, name="Calls")
        assert dataset.id is not None
        return add_conversation(session, dataset.id)


def write(text: str, turn: int = 1) -> Callable[[list[Message]], list[Message]]:
    return lambda messages: turns.update_message(messages, turn, content=text)


def type_text(session: Session, number: int, version: int, text: str, actor: object = ANN) -> Conversation:
    return service.edit_messages(session, number, version, actor, "edit:2", write(text), typing=True)  # type: ignore[arg-type]


def test_an_edit_of_an_old_version_is_refused_and_changes_nothing(engine: Engine, number: int) -> None:
    with transaction(engine) as session:
        service.edit_messages(session, number, 1, BOB, "edit", write("Bob's."))
    with pytest.raises(Conflict) as refused, transaction(engine) as session:
        service.edit_messages(session, number, 1, ANN, "edit", write("Ann's."))
    assert refused.value.sentence.values["name"] == "Bob"
    with transaction(engine) as session:
        found = service.require_conversation(session, number)
        assert (found.messages[1]["content"], found.version) == ("Bob's.", 2)


def test_a_row_read_before_the_lock_does_not_hide_a_faster_edit(engine: Engine, number: int) -> None:
    """REST reads the conversation first; another transaction may commit between that and the lock."""
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite lets one writing transaction run at a time, so nothing can commit in between")
    with Session(engine) as slow:
        assert service.require_conversation(slow, number).version == 1
        with transaction(engine) as fast:
            service.edit_messages(fast, number, 1, BOB, "edit", write("Bob's."))
        with pytest.raises(Conflict):
            service.edit_messages(slow, number, 1, ANN, "edit", write("Ann's."))


def test_of_eight_edits_at_once_exactly_one_wins(engine: Engine, number: int) -> None:
    results: list[str] = []

    def attempt(name: str) -> None:
        try:
            with transaction(engine) as session:
                service.edit_messages(session, number, 1, ANN, "edit", write(name))
        except Conflict:
            results.append("conflict")
        else:
            results.append(name)

    threads = [threading.Thread(target=attempt, args=(f"text {n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    winners = [name for name in results if name != "conflict"]
    assert (len(results), len(winners)) == (8, 1)
    with transaction(engine) as session:
        found = service.require_conversation(session, number)
        assert (found.messages[1]["content"], found.version) == (winners[0], 2)


def test_an_edit_that_changes_nothing_makes_no_version(engine: Engine, number: int) -> None:
    with transaction(engine) as session:
        found = service.edit_messages(session, number, 1, BOB, "edit", write(DIALOGUE[1]["content"]))
        assert (found.version, found.updated_by) == (1, "Ann")
        assert [line.version for line in revisions.history(session, number)] == [1]


def test_typing_of_one_person_shares_a_revision_and_the_text_before_stays(
    engine: Engine, number: int
) -> None:
    for version, text in enumerate(["H", "Ho", "How"], start=1):
        with transaction(engine) as session:
            type_text(session, number, version, text)
    with transaction(engine) as session:
        type_text(session, number, 4, "How?", BOB)
    with transaction(engine) as session:
        kept = [(line.version, line.action, line.author) for line in revisions.history(session, number)]
        assert kept == [(5, "edit:2", "Bob"), (4, "edit:2", "Ann"), (1, "create", "Ann")]
        service.restore(session, number, 5, ANN, 1)
        assert service.require_conversation(session, number).messages == DIALOGUE


def test_what_an_import_brought_can_be_restored(engine: Engine, number: int) -> None:
    with transaction(engine) as session:
        row = drafts.build_conversation(1, {"messages": DIALOGUE[:2], "outcome": "won"}, author=Who("Ann"))
        session.add(row)
        session.flush()
        assert row.id is not None
        imported = row.id
    with transaction(engine) as session:
        service.edit_messages(session, imported, 1, BOB, "edit", write("Changed."))
        service.set_labels(session, imported, 2, BOB, {"outcome": "lost"})
        service.restore(session, imported, 3, BOB, 1)
    with transaction(engine) as session:
        found = service.require_conversation(session, imported)
        assert (found.messages, found.outcome, found.version) == (DIALOGUE[:2], "won", 4)


def test_changing_an_approved_dialogue_makes_it_a_draft_but_labels_do_not(
    engine: Engine, number: int
) -> None:
    with transaction(engine) as session:
        review.review(session, number, 1, BOB, APPROVED)
        service.set_labels(session, number, 2, ANN, {"stage": "demo"})
        assert service.require_conversation(session, number).review_state is APPROVED
        service.edit_messages(session, number, 3, ANN, "edit", write("Changed."))
        found = service.require_conversation(session, number)
        assert (found.review_state, found.reviewed_by) == (DRAFT, None)


def test_sending_back_needs_a_reason(engine: Engine, number: int) -> None:
    with transaction(engine) as session:
        for reason in (None, "", "  \n"):
            with pytest.raises(Invalid, match="Say why"):
                review.review(session, number, 1, BOB, REJECTED, reason)
            with pytest.raises(Invalid, match="Say why"):
                bulk_review.review_many(session, 1, [number], BOB, REJECTED, reason)


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([{"role": "user", "content": "Hi"}], "no assistant turn"),
        ([{"role": "user", "content": " "}, {"role": "assistant", "content": "Hi"}], "turn is empty"),
    ],
)
def test_what_could_not_teach_anything_is_not_approved(
    engine: Engine, number: int, messages: list[Message], reason: str
) -> None:
    with transaction(engine) as session:
        bad = add_conversation(session, 1, messages=messages)
        with pytest.raises(Invalid, match=reason):
            review.review(session, bad, 1, BOB, APPROVED)
        changed, refused = bulk_review.review_many(session, 1, [number, bad], BOB, APPROVED)
        assert (changed, [found for found, _ in refused]) == (1, [bad])
        assert service.require_conversation(session, bad).review_state is DRAFT


def test_reviewing_many_keeps_what_was_imported_and_who_decided(engine: Engine, number: int) -> None:
    with transaction(engine) as session:
        rows = [
            drafts.build_conversation(
                1, {"messages": [*DIALOGUE, {"role": "user", "content": str(n)}]}, author=Who("Ann")
            )
            for n in range(450)
        ]
        session.add_all(rows)
        session.flush()
        ids = [row.id for row in rows if row.id is not None]
        assert bulk_review.review_many(session, 1, ids, BOB, REJECTED, "Too long") == (450, [])
        assert bulk_review.review_many(session, 1, ids, BOB, REJECTED, "Too long") == (0, [])
    with transaction(engine) as session:
        found = service.require_conversation(session, ids[-1])
        assert (found.review_state, found.review_reason, found.reviewed_by) == (REJECTED, "Too long", "Bob")
        kept = [(line.version, line.action, line.author) for line in revisions.history(session, ids[-1])]
        assert kept == [(2, "rejected", "Bob"), (1, "import", "Ann")]


def test_reviewing_many_with_a_deleted_one_among_them_changes_none(engine: Engine, number: int) -> None:
    with pytest.raises(NotFound), transaction(engine) as session:
        bulk_review.review_many(session, 1, [number, 999], BOB, APPROVED)
    with transaction(engine) as session:
        assert service.require_conversation(session, number).review_state is DRAFT


def test_deleting_erases_the_revisions_too(engine: Engine, number: int) -> None:
    with transaction(engine) as session:
        service.edit_messages(session, number, 1, ANN, "edit", write("Changed."))
    with transaction(engine) as session:
        service.delete_conversation(session, number, BOB)
    with transaction(engine) as session:
        assert session.exec(select(ConversationRevision)).all() == []
        with pytest.raises(NotFound):
            service.require_conversation(session, number)


@pytest.mark.parametrize(
    ("labels", "field"),
    [
        ({"outcome": "maybe"}, "outcome"),
        ({"stage": "x" * 61}, "stage"),
        ({"language": "x" * 11}, "language"),
        ({"tags": ["x" * 41]}, "tags"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_label_that_does_not_fit_is_refused_and_never_cut(
    engine: Engine, number: int, labels: dict[str, object], field: str
) -> None:
    with pytest.raises(Invalid) as refused, transaction(engine) as session:
        service.set_labels(session, number, 1, ANN, labels)
    assert refused.value.field == field


def test_the_turn_of_a_conflict_is_found_after_others_moved_it(engine: Engine, number: int) -> None:
    with transaction(engine) as session:
        service.edit_messages(
            session,
            number,
            1,
            BOB,
            "add",
            lambda messages: turns.add_message(messages, -1, Role.SYSTEM),
        )
        found = text_now(session, service.require_conversation(session, number), 1, 1)
        assert (found.turn, found.text) == (2, DIALOGUE[1]["content"])
        service.edit_messages(
            session, number, 2, BOB, "delete", lambda messages: turns.delete_message(messages, 2)
        )
        gone = text_now(session, service.require_conversation(session, number), 1, 1)
        assert (gone.turn, gone.text) == (None, None)


def test_the_turn_of_a_conflict_is_found_when_the_seen_version_was_typed_over(
    engine: Engine, number: int
) -> None:
    with transaction(engine) as session:
        type_text(session, number, 1, "a", BOB)
        type_text(session, number, 2, "ab", BOB)
        service.edit_messages(session, number, 3, BOB, "add", lambda m: turns.add_message(m, -1, Role.SYSTEM))
        # Version 2 shares its revision with version 3.
        found = text_now(session, service.require_conversation(session, number), 2, 3)
        assert (found.turn, found.text) == (4, DIALOGUE[3]["content"])


_MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant"]), "content": st.sampled_from("abcdef")}
    ),
    min_size=1,
    max_size=8,
)


@given(_MESSAGES, st.data())
def test_moving_a_turn_there_and_back_changes_nothing(messages: list[Message], data: st.DataObject) -> None:
    turn = data.draw(st.integers(0, len(messages) - 1))
    by = data.draw(st.sampled_from([-1, 1]))
    moved = turns.move_message([dict(message) for message in messages], turn, by)
    target = min(max(turn + by, 0), len(messages) - 1)
    assert moved[target] == messages[turn]
    assert turns.move_message(moved, target, turn - target) == messages


@given(_MESSAGES, _MESSAGES, st.data())
def test_a_located_turn_keeps_its_role(
    before: list[Message], now: list[Message], data: st.DataObject
) -> None:
    turn = data.draw(st.integers(0, len(before) - 1))
    found = turns.locate_turn(before, now, turn)
    if found is not None:
        assert now[found]["role"] == before[turn]["role"]
    assert turns.locate_turn(before, before, turn) == turn


def test_rest_shows_the_history_and_goes_back(annotator: Person) -> None:
    dataset = annotator.api.post("/api/v1/datasets", json={"name": "Undo"}).json()
    body = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}
    made = annotator.api.post(f"/api/v1/datasets/{dataset['id']}/conversations", json=body).json()
    address = f"/api/v1/conversations/{made['id']}"
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Changed."}]
    changed = annotator.api.patch(address, json={"version": made["version"], "messages": messages}).json()
    history = annotator.api.get(f"{address}/revisions").json()
    assert [line["version"] for line in history] == [changed["version"], made["version"]]
    back = {"version": changed["version"], "wanted": made["version"]}
    restored = annotator.api.post(f"{address}/restore", json=back)
    assert restored.json()["messages"][1]["content"] == "Hello."
    assert annotator.api.post(f"{address}/restore", json=back).status_code == 409
    assert annotator.api.post(f"{address}/restore", json={**back, "wanted": 99}).status_code in {404, 409}
