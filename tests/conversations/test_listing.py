"""Lists of conversations: searching, and who stands beside whom."""

import json
from typing import Any

from sqlalchemy import Engine
from sqlmodel import select

from app.conversations.filters import ConversationFilter
from app.conversations.listing import Listing
from app.conversations.models import Conversation, Outcome
from app.core.database import transaction
from tests.conversations.conftest import DIALOGUE, MakeConversation
from tests.imports.test_service import line, make_dataset, read
from tests.support.people import Person, visible_text


def test_search_finds_every_word_anywhere_and_takes_wildcards_as_they_are(engine: Engine) -> None:
    with transaction(engine) as session:
        dataset = make_dataset(session)
        read(session, dataset, line("Is 100% safe?"), line("你们的报价太贵了"), line("A_B and Straße"))
        assert dataset.id is not None
        for query, expected in (
            ("100%", 1),
            ("%", 1),
            ("_", 1),
            ("报价", 1),
            ("PEOPLE how", 3),
            ("STRASSE", 1),
            ("people nothing", 0),
        ):
            where = ConversationFilter(dataset.id, query=query)
            assert (Listing(session, where).total, len(Listing(session, where).page(0, 50))) == (
                expected,
            ) * 2, query


def test_the_place_in_a_list_follows_its_filter(engine: Engine) -> None:
    with transaction(engine) as session:
        dataset = make_dataset(session)
        read(session, dataset, *[line(str(n), outcome="won" if n % 2 else "lost") for n in range(6)])
        rows = session.exec(select(Conversation).order_by(Conversation.id)).all()  # type: ignore[arg-type]
        assert dataset.id is not None
        place = Listing(session, ConversationFilter(dataset.id, outcome=Outcome.WON)).place_of(rows[3])
        assert (place.number, place.total, place.previous_id, place.next_id) == (2, 3, rows[1].id, rows[5].id)
        # Told by index or by search, with or without the conversation itself in the list, it is the same.
        for where in (ConversationFilter(dataset.id), ConversationFilter(dataset.id, outcome=Outcome.LOST)):
            for row in rows:
                plain, searched = Listing(session, where), Listing(session, where.but(query="people"))
                assert plain.place_of(row) == searched.place_of(row)
                assert (plain.counts, plain.total) == (dict(searched.counts), searched.total)
                assert plain.page(1, 3) == searched.page(1, 3)


def test_a_search_finds_labels_and_names_and_shows_where(
    annotator: Person, make: MakeConversation, dataset_id: int
) -> None:
    number = make(product="云端 Plan", tags=["续约", "VIP"])
    make(messages=[*DIALOGUE, {"role": "user", "content": f"{'x' * 60} <b>Cloud</b> costs {'y' * 90}"}])
    path = f"/datasets/{dataset_id}"
    for query, shown in (
        ("续约", '<span class="muted">Tags</span> VIP, <mark>续约</mark>'),
        ("云端", '<span class="muted">Product</span> <mark>云端</mark> Plan'),
        ("ann 续约", '<span class="muted">Tags</span>'),
        ("cloud costs", "x &lt;b&gt;<mark>Cloud</mark>&lt;/b&gt; <mark>costs</mark> y"),
    ):
        html = annotator.browser.get(path, params={"q": query}).text
        assert shown in " ".join(html.split()), query
        assert html.count('class="hit') == 1
    # A search for the editor's name finds what they changed.
    assert annotator.browser.get(path, params={"q": "ANN"}).text.count("<mark>Ann</mark>") == 2
    assert (
        f'href="/conversations/{number + 1}?q=costs#turn-5"' in annotator.browser.get(f"{path}?q=costs").text
    )
    # What is labelled later is found too.
    annotator.browser.post(f"/conversations/{number}/labels", data={"version": 1, "product": "Ledger"})
    assert annotator.api.get(f"/api/v1{path}/conversations?q=ledger").json()["total"] == 1
    assert annotator.api.get(f"/api/v1{path}/conversations?q=续约").json()["total"] == 0


def test_a_list_is_narrowed_by_every_label_and_sorted_and_its_walk_follows(
    annotator: Person, make: MakeConversation, dataset_id: int
) -> None:
    labels: list[dict[str, Any]] = [
        {"stage": "demo", "objection": "price", "language": "zh", "product": "A", "tags": ["a%"]},
        {"stage": "demo", "objection": "trust", "language": "en", "product": "B", "tags": ["续约"]},
        {"stage": "closing", "objection": "price", "language": "en", "product": "B"},
        {},
    ]
    one, two, three, four = (make(**given) for given in labels)
    rest = f"/api/v1/datasets/{dataset_id}/conversations"

    def listed(**query: str) -> list[int]:
        found = annotator.api.get(rest, params=query).json()
        assert found["total"] == len(found["conversations"])
        return [item["id"] for item in found["conversations"]]

    assert listed(stage="demo") == [one, two]
    assert listed(stage="demo", objection="price") == [one]
    assert listed(language="en", product="B") == [two, three]
    assert (listed(tag="续约"), listed(tag="a%"), listed(tag="a")) == ([two], [one], [])
    assert (len(listed(editor="Ann")), listed(editor="An")) == (4, [])
    assert listed(sort="stage") == [three, one, two, four]
    assert listed(sort="-stage") == [two, one, three, four]
    assert listed(sort="-updated_at") == [four, three, two, one]
    assert annotator.api.get(rest, params={"sort": "messages"}).status_code == 422
    page = annotator.browser.get(f"/conversations/{one}?sort=stage&language=&stage=demo").text
    assert 'rel="next" data-shortcut="j" data-shortcut-label="Next conversation"' in page
    assert f'href="/conversations/{two}?stage=demo&amp;sort=stage"' in page
    # One that left the list stands where it would stand.
    other = annotator.browser.get(f"/conversations/{three}?sort=stage&stage=demo").text
    assert f'href="/conversations/{one}?stage=demo&amp;sort=stage"' in other
    facets = visible_text(annotator.browser.get(f"/datasets/{dataset_id}/facets?stage=nowhere").text)
    for said in ("Demo (2)", "Closing (1)", "nowhere", "Price (2)", "B (2)", "续约", "Ann (4)"):
        assert said in facets
    alone = annotator.browser.get(
        f"/datasets/{dataset_id}?q=&stage=demo&outcome=&tag=", headers={"HX-Target": "conversation-list"}
    )
    assert alone.headers["HX-Push-Url"] == f"/datasets/{dataset_id}?stage=demo"
    assert 'aria-sort="descending"' in annotator.browser.get(f"/datasets/{dataset_id}?sort=-title").text


def test_what_an_import_brought_is_a_list_of_its_own(
    annotator: Person, make: MakeConversation, dataset_id: int
) -> None:
    make()
    file = {"file": ("calls.jsonl", json.dumps({"messages": [*DIALOGUE[:1], *DIALOGUE[3:]]}))}
    report = annotator.api.post(f"/api/v1/datasets/{dataset_id}/imports", files=file).json()
    rest = f"/api/v1/datasets/{dataset_id}/conversations?brought_by={report['operation_id']}"
    assert annotator.api.get(rest).json()["total"] == 1
    facets = visible_text(annotator.browser.get(f"/datasets/{dataset_id}/facets").text)
    assert "calls.jsonl (1)" in facets
    for page in ("imports", f"imports/{report['id']}"):
        assert (
            f"?brought_by={report['operation_id']}"
            in annotator.browser.get(f"/datasets/{dataset_id}/{page}").text
        )
    # Its history begins when it came in, whenever it was changed first.
    (brought,) = annotator.api.get(rest).json()["conversations"]
    annotator.browser.post(f"/conversations/{brought['id']}/turns/1", data={"version": 1, "content": "Ten."})
    history = annotator.api.get(f"/api/v1/conversations/{brought['id']}/revisions").json()
    assert (history[-1]["action"], history[-1]["created_at"]) == ("import", brought["updated_at"])
