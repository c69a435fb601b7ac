"""Lists of conversations: searching, and who stands beside whom."""

from sqlalchemy import Engine
from sqlmodel import select

from app.conversations.filters import ConversationFilter
from app.conversations.listing import Listing
from app.conversations.models import Conversation, Outcome
from app.core.database import transaction
from tests.imports.test_service import line, make_dataset, read


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
