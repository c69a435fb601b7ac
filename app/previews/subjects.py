"""What a preview page is about: a stored conversation, or the copy of one that a version froze."""

from dataclasses import dataclass
from typing import Self

from sqlmodel import Session

from app.conversations.content import dialogue_of
from app.conversations.messages import title_of
from app.conversations.models import Conversation
from app.core.database import let_go
from app.core.storage import Storage
from app.datasets.service import require_dataset
from app.dialogue.canonical import canonical_conversation
from app.dialogue.conversation import Conversation as Dialogue
from app.versions.frozen import frozen_conversation
from app.versions.models import DatasetVersion


@dataclass(frozen=True)
class Subject:
    """`path` is the page's address, where its forms post to; `stored` the conversation as it is today, if it is."""

    conversation_id: int
    title: str
    dialogue: Dialogue
    path: str
    stored: Conversation | None
    version: DatasetVersion | None = None
    # "Calls v3", with a version.
    frozen_in: str = ""

    @classmethod
    def of_conversation(cls, conversation: Conversation) -> Self:
        """The dialogue that people work on."""
        assert conversation.id is not None
        path = f"/conversations/{conversation.id}/mask"
        return cls(conversation.id, conversation.title, dialogue_of(conversation), path, conversation)

    @classmethod
    def of_version(
        cls, session: Session, storage: Storage, version: DatasetVersion, conversation_id: int, path: str = ""
    ) -> Self:
        """The copy that training reads. Raises NotFound when the version does not hold it."""
        dataset = require_dataset(session, version.dataset_id)
        stored = session.get(Conversation, conversation_id)
        let_go(session)
        frozen = frozen_conversation(storage, version, conversation_id)
        return cls(
            conversation_id,
            title_of(frozen["messages"]),
            canonical_conversation(frozen),
            path or f"/dataset-versions/{version.id}/conversations/{conversation_id}/mask",
            stored,
            version,
            f"{dataset.name} v{version.number}",
        )

    @property
    def is_frozen(self) -> bool:
        """Whether this copy never changes."""
        return self.version is not None

    @property
    def differs(self) -> bool:
        """Whether the conversation was edited after it was frozen."""
        if not self.is_frozen or self.stored is None:
            return False
        now = dialogue_of(self.stored)
        return any(now.get(name) != self.dialogue.get(name) for name in ("messages", "tools"))

    @property
    def may_save_flags(self) -> bool:
        """Flags are kept by the conversation; a frozen copy has none of its own to change."""
        return not self.is_frozen and self.stored is not None
