"""The form in which a version is frozen, as it is typed."""

from dataclasses import fields
from typing import Any, Literal

from pydantic import BaseModel

from app.conversations.filter_params import FilterParams
from app.conversations.filters import ConversationFilter
from app.core.errors import Invalid
from app.core.typed import typed_number, typed_whole
from app.dialogue.labels import Outcome
from app.sentences import N_
from app.versions.options import FreezeOptions, checked_seed


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
        share = self._share()
        return FreezeOptions(
            name=self.name,
            note=self.note.replace("\r\n", "\n"),
            where=where if where.is_narrow else None,
            validation_share=share,
            seed=checked_seed(typed_whole(self.seed, digits=10)) if self.seed.strip() else 0,
        )

    def _share(self) -> float | None:
        text = self.held_out.strip().removesuffix("%").strip()
        if not text:
            return None
        percent = typed_number(text)
        if percent is None:
            raise Invalid(N_("“%(text)s” is not a number."), field="held_out", text=text)
        return percent / 100
