"""The form in which a version is frozen, as it is typed."""

from dataclasses import fields
from typing import Any, Literal

from pydantic import BaseModel

from app.conversations.filter_params import FilterParams
from app.conversations.filters import ConversationFilter
from app.core.errors import Invalid
from app.dialogue.labels import Outcome
from app.sentences import N_
from app.versions.options import FreezeOptions


class FreezeForm(BaseModel):
    """Numbers are texts, so that what was typed wrong is shown again beside what is wrong with it."""

    name: str = ""
    note: str = ""
    # Percent.
    held_out: str = ""
    seed: str = ""
    outcome: Outcome | Literal[""] = ""
    q: str = ""
    stage: str = ""
    objection: str = ""
    language: str = ""
    product: str = ""
    tag: str = ""
    editor: str = ""
    brought_by: int | Literal[""] = ""

    @classmethod
    def of_list(cls, params: FilterParams) -> "FreezeForm":
        """For what a list shows."""
        given = {part.name: getattr(params, part.name) for part in fields(params)}
        return cls.model_validate({name: value for name, value in given.items() if name in cls.model_fields})

    def where(self, dataset_id: int) -> ConversationFilter:
        """What is chosen of the dataset."""
        given: dict[str, Any] = {part.name: getattr(self, part.name, "") for part in fields(FilterParams)}
        return FilterParams(**given).within(dataset_id)

    def options(self, dataset_id: int) -> FreezeOptions:
        """Raises Invalid for what is no number, naming the field."""
        where = self.where(dataset_id)
        share = self._number("held_out")
        return FreezeOptions(
            name=self.name,
            note=self.note.replace("\r\n", "\n"),
            where=where if where.is_narrow else None,
            validation_share=None if share is None else share / 100,
            seed=int(self._number("seed") or 0),
        )

    def _number(self, field: str) -> float | None:
        text = getattr(self, field).strip().removesuffix("%").strip()
        try:
            return float(text.replace(",", ".")) if text else None
        except ValueError:
            raise Invalid(N_("“%(text)s” is not a number."), field=field, text=text) from None
