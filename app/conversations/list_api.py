"""REST for the conversations of a dataset."""

from typing import Annotated

from fastapi import Query

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.conversations import assigning, bulk_review, correcting
from app.conversations.correcting import OneCorrection
from app.conversations.filter_params import Filter
from app.conversations.listing import Listing
from app.conversations.schemas import (
    AssignIn,
    AssignOut,
    ConversationIn,
    ConversationMadeOut,
    ConversationOut,
    ConversationPage,
    ReviewManyIn,
    ReviewManyOut,
    ReviewRefusedOut,
    WorkloadOut,
)
from app.core.i18n import gettext
from app.core.routing import Router
from app.core.web import Db
from app.datasets.service import require_dataset

router = Router(prefix="/api/v1", tags=["datasets"])


@router.get("/datasets/{dataset_id}/conversations")
@needs(Permission.CONVERSATION_READ)
def list_conversations(
    session: Db,
    dataset_id: int,
    params: Filter,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ConversationPage:
    """Conversations of a dataset, filtered, in order of arrival or sorted."""
    require_dataset(session, dataset_id)
    listing = Listing(session, params.within(dataset_id))
    found = [ConversationOut.of(item) for item in listing.page(offset, limit)]
    return ConversationPage(conversations=found, total=listing.total, offset=offset)


@router.post("/datasets/{dataset_id}/conversations", status_code=201)
@needs(Permission.CONVERSATION_EDIT)
def create_conversation(
    session: Db,
    actor: CurrentActor,
    dataset_id: int,
    body: ConversationIn,
    same_questions: Annotated[
        OneCorrection,
        Query(
            description="What becomes of it when a conversation of the dataset asks the same and answers otherwise: both are kept, "
            "the old one is replaced as a new revision, or the new one is refused (409)."
        ),
    ] = "keep",
) -> ConversationMadeOut:
    """Add one conversation as a draft. `same_questions_as` names the one that asks the same and answers otherwise."""
    require_dataset(session, dataset_id)
    made, old = correcting.create_or_correct(session, dataset_id, body.given(), actor, same_questions)
    return ConversationMadeOut(**ConversationOut.of(made).model_dump(), same_questions_as=old)


@router.post("/datasets/{dataset_id}/review")
@needs(Permission.CONVERSATION_REVIEW)
def review_many(session: Db, actor: CurrentActor, dataset_id: int, body: ReviewManyIn) -> ReviewManyOut:
    """Review the named conversations, or all that are draft or handed in when none is named."""
    require_dataset(session, dataset_id)
    changed, refused = bulk_review.review_many(
        session, dataset_id, body.conversation_ids, actor, body.state, body.reason
    )
    reasons = [ReviewRefusedOut(conversation_id=found, reason=gettext(reason)) for found, reason in refused]
    return ReviewManyOut(changed=changed, refused=reasons)


@router.post("/datasets/{dataset_id}/assign")
@needs(Permission.CONVERSATION_ASSIGN)
def assign(session: Db, actor: CurrentActor, dataset_id: int, body: AssignIn) -> AssignOut:
    """Give conversations to people, or share out the drafts that are nobody's."""
    require_dataset(session, dataset_id)
    given = assigning.assign(session, dataset_id, body.conversation_ids, body.user_ids, actor)
    return AssignOut(assigned=given)


@router.get("/datasets/{dataset_id}/people")
@needs(Permission.CONVERSATION_READ)
def list_workloads(session: Db, dataset_id: int) -> list[WorkloadOut]:
    """Who has how many conversations of the dataset, and how far they are."""
    require_dataset(session, dataset_id)
    return [WorkloadOut.of(line) for line in assigning.workloads(session, dataset_id)]
