"""What an adapter is made of, as the worker's child is told it and as it travels with the files. Loads no database."""

from typing import Any, Literal

from pydantic import Field

from app.core.stored_models import StoredModel


class Provenance(StoredModel):
    """`base_model` is a hub id, or a name where the hub has no such model; `base_revision` the commit there.

    Hashes are sha256: `version_hash` of the frozen dialogues, `arrays_hash` of ids and labels that were trained.
    `template_arguments` are those that the chat template was given, and wants again wherever the model is used.
    """

    schema_version: Literal[1] = 1
    run: str
    run_id: int | None = None
    dataset: str
    version: int
    version_hash: str
    conversations: int
    held_out: int
    arrays_hash: str
    recipe: str
    base_model: str
    base_revision: str | None = None
    base_licence: str | None = None
    base_remark: str = ""
    train_on: str = "assistant"
    max_length: int | None = None
    template_arguments: dict[str, Any] = Field(default_factory=dict)
