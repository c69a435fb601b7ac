"""The form of an own recipe: what was typed, kept as typed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from app.core.typed import typed_whole
from app.recipes.fields import FIELDS, display
from app.recipes.method import METHOD_FIELDS, Method
from app.recipes.models import OwnRecipe
from app.recipes.own import RecipeDraft, problems_of
from app.recipes.recipes import values_of

_LONGEST: Final = 4_000


@dataclass
class RecipeForm:
    """`values` of the fields as typed, empty where the standard is followed; `version` is the one that was seen.

    `errors` by field; `notes` say what of a file was left out.
    """

    name: str = ""
    purpose: str = ""
    is_shared: bool = False
    version: int | None = None
    values: dict[str, str] = field(default_factory=lambda: dict.fromkeys(FIELDS, ""))
    errors: dict[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @classmethod
    def posted(cls, form: Mapping[str, Any]) -> "RecipeForm":
        """From a submitted form."""
        typed = {name: str(form.get(name, ""))[:_LONGEST] for name in ("name", "purpose", "version", *FIELDS)}
        return cls(
            typed["name"],
            typed["purpose"],
            str(form.get("shared", "")) == "true",
            typed_whole(typed["version"]),
            {name: typed[name].strip() for name in FIELDS},
        )

    @classmethod
    def of(
        cls, settings: Mapping[str, object], *, name: str = "", purpose: str = "", notes: Sequence[str] = ()
    ) -> "RecipeForm":
        """A new recipe that sets these."""
        values = {field: display(settings[field]) if field in settings else "" for field in FIELDS}
        return cls(name, purpose, values=values, notes=notes)

    @classmethod
    def stored(cls, row: OwnRecipe) -> "RecipeForm":
        """An own one; what this program refuses in it stands beside the field. A field that is gone is left out."""
        form = cls.of(row.settings.values, name=row.name, purpose=row.purpose)
        form.is_shared, form.version, form.errors = row.is_shared, row.version, problems_of(row)
        return form

    def draft(self) -> RecipeDraft:
        """What is to be saved."""
        settings = {name: text for name, text in self.values.items() if text}
        return RecipeDraft(self.name, self.purpose, settings, self.is_shared)

    @property
    def standard(self) -> dict[str, str]:
        """What an empty field stands for, with the method that is chosen here."""
        peft, quantised = (self.values[name].lower() == "true" for name in METHOD_FIELDS)
        method = Method.of(use_peft=peft or not self.values["use_peft"], load_in_4bit=quantised)
        return values_of("standard", method)

    def changed_meanwhile(self, row: OwnRecipe) -> dict[str, tuple[str, str]]:
        """By field, what the row says now and what is typed here, where they differ."""
        stored = RecipeForm.stored(row).values
        return {name: (stored[name], text) for name, text in self.values.items() if text != stored[name]}
