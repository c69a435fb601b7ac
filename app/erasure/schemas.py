"""What REST says of an erasure."""

from pydantic import BaseModel, ConfigDict

from app.erasure.holders import Holders
from app.erasure.whole_datasets import DatasetHolders


class HoldingVersionOut(BaseModel):
    """A version whose file has the conversation."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    dataset_id: int
    dataset: str
    number: int


class HoldingRunOut(BaseModel):
    """A run that was trained on such a version. Its weights cannot forget."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str


class HoldingExportOut(BaseModel):
    """An export of a run with the version's dialogues among its files."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    run_id: int
    kind: str


class DownloadOut(BaseModel):
    """A version that left the studio as files."""

    model_config = ConfigDict(from_attributes=True)

    version: str
    by: str
    at: str


class HoldersOut(BaseModel):
    """All that holds, or held, the conversation."""

    model_config = ConfigDict(from_attributes=True)

    conversation_id: int
    # Whether the conversation itself is there.
    is_stored: bool
    versions: list[HoldingVersionOut]
    mask_check_ids: list[int]
    runs: list[HoldingRunOut]
    exports: list[HoldingExportOut]
    downloads: list[DownloadOut]
    # Chats in which one of its texts was sent word for word.
    chat_ids: list[int]
    # Conversations elsewhere with the same words; each is erased by itself.
    twin_ids: list[int]

    @classmethod
    def of(cls, holders: Holders) -> "HoldersOut":
        """From what was found."""
        return cls.model_validate(holders)


class DatasetHoldersOut(BaseModel):
    """All that holds, or held, the dialogues of a dataset."""

    model_config = ConfigDict(from_attributes=True)

    dataset_id: int
    dataset: str
    # Whether the dataset itself is deleted, as nothing needs its versions. Else it stays, archived and empty.
    goes: bool
    conversations: int
    versions: list[HoldingVersionOut]
    mask_check_ids: list[int]
    runs: list[HoldingRunOut]
    exports: list[HoldingExportOut]
    downloads: list[DownloadOut]
    # Chats in which one of its texts was sent word for word.
    chat_ids: list[int]
    # Conversations of other datasets with the same words; each is erased by itself.
    twins: int

    @classmethod
    def of(cls, holders: DatasetHolders) -> "DatasetHoldersOut":
        """From what was found."""
        return cls.model_validate(holders)
