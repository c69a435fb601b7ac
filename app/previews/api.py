"""REST for mask previews."""

from fastapi import Request
from sqlmodel import Session

from app.accounts.access import needs
from app.accounts.permissions import Permission
from app.conversations.content import dialogue_of, read_dialogue
from app.conversations.service import require_conversation
from app.core.database import let_go, reading
from app.core.errors import Invalid
from app.core.routing import Router
from app.core.slow_work import apart
from app.core.storage import Storage
from app.core.web import AppEngine, AppStorage
from app.dialogue.canonical import canonical_conversation
from app.dialogue.conversation import Conversation as Dialogue
from app.mask_settings.arguments import offered_arguments
from app.mask_settings.tokenizers import readable_arguments, tokenizer_of
from app.previews import service
from app.previews.schemas import ArgumentOut, ComparedOut, CompareIn, PreviewIn, PreviewOut
from app.previews.service import PREVIEWS
from app.sentences import N_
from app.versions.frozen import frozen_conversation
from app.versions.service import require_version

router = Router(prefix="/api/v1", tags=["mask previews"])


@router.post("/mask-previews")
@needs(Permission.MASK_PREVIEW)
@apart(PREVIEWS)
def preview(request: Request, engine: AppEngine, storage: AppStorage, body: PreviewIn) -> list[PreviewOut]:
    """The tokens and labels of a conversation, by the very function that makes the training arrays."""
    with reading(engine) as session:
        masked = _mask(session, body, _dialogue(session, storage, body))
    return [
        PreviewOut.model_validate(service.show_sample(masked, number))
        for number in range(len(masked.samples))
    ]


@router.post("/mask-previews/compare")
@needs(Permission.MASK_PREVIEW)
@apart(PREVIEWS)
def compare(request: Request, engine: AppEngine, storage: AppStorage, body: CompareIn) -> list[ComparedOut]:
    """Where the mask differs from one under other settings, another model or another template, by sample."""
    changes = {
        name: value
        for name in ("base_model_id", "settings", "chat_template")
        if (value := getattr(body.other, name))
    }
    if body.other.base_model_id:
        changes.setdefault("chat_template", None)
    with reading(engine) as session:
        dialogue = _dialogue(session, storage, body)
        here = _mask(session, body, dialogue)
        there = _mask(session, body.model_copy(update=changes), dialogue)
    return [ComparedOut.of(one) for one in service.compare_masks(here, there)]


@router.get("/base-models/{base_model_id}/template-arguments", responses={409: {}})
@needs(Permission.BASE_MODEL_READ)
@apart(PREVIEWS)
def list_template_arguments(request: Request, engine: AppEngine, base_model_id: int) -> list[ArgumentOut]:
    """The arguments that the model's chat template reads, for `template_arguments` in mask settings."""
    with reading(engine) as session:
        tokenizer = tokenizer_of(session, base_model_id)
    readable_arguments(tokenizer)
    return [ArgumentOut.of(one) for one in offered_arguments(tokenizer, {})]


def _mask(session: Session, body: PreviewIn, dialogue: Dialogue) -> service.Masked:
    return service.mask_dialogue(
        session,
        base_model_id=body.base_model_id,
        dialogue=dialogue,
        settings=body.settings.to_settings(),
        chat_template=body.chat_template,
        moment=body.moment,
    )


def _dialogue(session: Session, storage: Storage, body: PreviewIn) -> Dialogue:
    if (body.messages is None) == (body.conversation_id is None):
        raise Invalid(N_("Name a conversation_id or give messages, one of the two."), field="conversation_id")
    if body.messages is not None:
        if body.dataset_version_id is not None:
            raise Invalid(
                N_("A dataset_version_id goes with a conversation_id, not with messages."),
                field="dataset_version_id",
            )
        return read_dialogue({"messages": body.messages, "tools": body.tools})
    if body.tools is not None:
        raise Invalid(N_("Tools go with messages; a stored conversation has its own."), field="tools")
    assert body.conversation_id is not None
    if body.dataset_version_id is None:
        return dialogue_of(require_conversation(session, body.conversation_id))
    version = require_version(session, body.dataset_version_id)
    let_go(session)
    return canonical_conversation(frozen_conversation(storage, version, body.conversation_id))
