"""What preparing a base model found out about it: one typed document for worker, pages, REST and commands.

Loads no database, for the worker's child writes it.
"""

from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, Field, computed_field

from app.core.stored_models import StoredModel, Told


class LeftOut(StrEnum):
    """Why no adapter goes on a layer: it makes the logits, text never passes it, or it does more than a product."""

    OUTPUT = "output"
    OTHER_TOWER = "other_tower"
    NOT_PLAIN = "not_plain"


class LayerFacts(BaseModel):
    """Linear layers that differ only in their number.

    `name` is dotted, with * for numbers: model.layers.*.mlp.up_proj. `parameters` are those of all `count` layers
    together; `experts` is how many each layer stacks in one tensor, 0 where it is a plain layer.
    """

    name: str
    count: int
    parameters: int
    experts: int = 0
    left_out: LeftOut | None = None

    @property
    def last(self) -> str:
        """The part of the name that people type: up_proj."""
        return self.name.rpartition(".")[2]


class ModelFacts(StoredModel):
    """Facts of a prepared model; what was not looked at, or is nowhere written, is null or empty.

    `context_length` in tokens, `size_bytes` of the folder. `end_of_turn_trained` is whether the rows of the token that
    ends an answer were ever trained; `tied_embeddings` whether the first and the last layer are one. `remarks` is what
    is unusual, a sentence each.
    """

    schema_version: Literal[1] = 1
    source: str | None = None
    parameters: int | None = None
    context_length: int | None = None
    vocabulary: int | None = None
    dtype: str | None = None
    architecture: str | None = None
    size_bytes: int | None = None
    licence: str | None = None
    end_of_turn: str | None = None
    end_of_turn_id: int | None = None
    end_of_turn_trained: bool | None = None
    tied_embeddings: bool | None = None
    layers: list[LayerFacts] = Field(default_factory=list)
    remarks: list[Told] = Field(default_factory=list)

    @classmethod
    def upgrade(cls, document: dict[str, Any]) -> dict[str, Any]:
        """Before there was a version, the same names held the same facts, and there were fewer of them."""
        return document if "schema_version" in document else {**document, "schema_version": 1}

    @property
    def adaptable(self) -> list[LayerFacts]:
        """The layers that an adapter may go on."""
        return [layer for layer in self.layers if layer.left_out is None]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def layer_names(self) -> list[str]:
        """What people may type for them, each once, in the model's order."""
        return list(dict.fromkeys(layer.last for layer in self.adaptable))
