"""The form in which a version is frozen, as it is typed."""

from dataclasses import fields
from typing import Any

from pydantic import BaseModel

from app.conversations.conditions import SentConditions
from app.conversations.filter_params import FilterParams
from app.conversations.filters import ConversationFilter
from app.core.errors import Invalid
from app.core.typed import typed_number, typed_whole
from app.sentences import N_
from app.versions.options import FreezeOptions, checked_seed


class FreezeForm(BaseModel, SentConditions):
    """Numbers are texts, so that what was typed wrong is shown again beside what is wrong with it."""

    name: str = ""
    note: str = ""
    # Percent.
    held_out: str = ""
    seed: str = ""

    @classmethod
    def of_list(cls, params: FilterParams) -> "FreezeForm":
        """For what a list shows."""
        return cls.model_validate({part.name: getattr(params, part.name) for part in fields(SentConditions)})

    def where(self, dataset_id: int) -> ConversationFilter:
        """What is chosen of the dataset."""
        given: dict[str, Any] = {part.name: getattr(self, part.name) for part in fields(SentConditions)}
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
