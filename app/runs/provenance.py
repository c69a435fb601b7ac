"""What an adapter is made of, as the worker's child is told it and as it travels with the files. Loads no database."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field, model_validator

from app.core.stored_models import StoredModel
from app.mask_settings.fields import MaskSettingsIn
from app.masking import Argument
from app.runs.beginning import Beginning
from app.runs.preflight.documents import AcceptedWarning


class DataProvenance(BaseModel):
    """A dataset's part in a run. Hashes are sha256: `version_hash` of the frozen dialogues, `arrays_hash` of ids and labels
    that were trained.
    """

    dataset: str
    version: int
    version_hash: str
    arrays_hash: str
    conversations: int
    held_out: int


class MixedInProvenance(DataProvenance):
    """A second dataset that is mixed in, as a share (0 to 1) of all conversations that are trained."""

    share: float
    order: str


class EarlierRun(DataProvenance):
    """A run whose adapter was trained further, so that its data are in the weights too."""

    run_id: int
    run: str
    mix: MixedInProvenance | None = None


class Provenance(StoredModel, DataProvenance):
    """`base_model` is a hub id, or a name where the hub has no such model; `base_revision` the commit there.

    `begins` says what the run began from where that was not the base model, `earlier` whose adapters were trained further on the
    way here, the last one first.
    """

    schema_version: Literal[2] = 2
    run: str
    run_id: int | None = None
    recipe: str
    begins: Beginning | None = None
    earlier: list[EarlierRun] = Field(default_factory=list)
    # Counts the changes of an own recipe; None for a built-in one.
    recipe_version: int | None = None
    base_model: str
    base_revision: str | None = None
    base_licence: str | None = None
    base_remark: str = ""
    mix: MixedInProvenance | None = None
    mask: MaskSettingsIn = Field(default_factory=MaskSettingsIn)
    # Of the pre-flight; nobody's name goes out with the files.
    accepted_warnings: list[AcceptedWarning] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _read_earlier(cls, document: Any) -> Any:
        """The first form had three of the settings among its own keys. Here and not in `upgrade`: it lies in payloads."""
        if not isinstance(document, dict) or document.get("schema_version") != 1:
            return document
        named = {
            name: document[name]
            for name in ("train_on", "max_length", "template_arguments")
            if name in document
        }
        return {**document, "schema_version": 2, "mask": named}

    @property
    def template_arguments(self) -> Mapping[str, Argument]:
        """What the chat template was given, and wants again wherever the model is used."""
        return self.mask.template_arguments
