"""What holds a conversation, or the dialogues of a dataset, as pages, REST and commands say it."""

from pydantic import BaseModel


class HoldingVersion(BaseModel):
    """A version whose file has the conversation, by its names for people."""

    id: int
    dataset_id: int
    dataset: str
    number: int


class HoldingRun(BaseModel):
    """A run that was trained on such a version, or begins from one that was. Its weights cannot forget."""

    id: int
    name: str


class HoldingExport(BaseModel):
    """An export of a run that has the version's dialogues among its files."""

    id: int
    run_id: int
    kind: str


class Download(BaseModel):
    """A version that went out of the studio as files, alone or with an export of a run, which nobody can call back."""

    version: str
    by: str
    at: str


class Users(BaseModel):
    """What was made of versions, and whoever has them now."""

    mask_check_ids: list[int]
    runs: list[HoldingRun]
    exports: list[HoldingExport]
    downloads: list[Download]


class _Holders(Users):
    versions: list[HoldingVersion]
    # Chats in which one of the texts was sent word for word.
    chat_ids: list[int]

    @property
    def version_ids(self) -> list[int]:
        """Ids of the versions."""
        return [version.id for version in self.versions]


class Holders(_Holders):
    """All that holds, or held, the conversation."""

    conversation_id: int
    # Whether the conversation itself is there.
    is_stored: bool
    # Conversations elsewhere with the same words; each is erased by itself.
    twin_ids: list[int]


class DatasetHolders(_Holders):
    """All that holds, or held, the dialogues of a dataset."""

    dataset_id: int
    dataset: str
    # Whether the dataset itself is deleted, as nothing needs its versions. Else it stays, archived and empty.
    goes: bool
    conversations: int
    # Conversations of other datasets with the same words; each is erased by itself.
    twins: int
