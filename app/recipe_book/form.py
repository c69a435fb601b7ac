"""The form of an own recipe: what was typed, kept as typed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from app.core.typed import typed_whole
from app.recipes.fields import FIELDS, display
from app.recipes.method import METHOD_FIELDS, Method
from app.recipes.models import OwnRecipe
from app.recipes.own import RecipeDraft, problems_of
from app.recipes.recipes import values_of

_LONGEST: Final = 4_000
_TEXTS: Final = TypeAdapter(dict[str, str])


@dataclass
class RecipeForm:
    """`values` of the fields as typed, empty where the standard is followed; `version` is the one that was seen, and `seen` what it
    said (as `texts`; of a form that is older than this, nothing).

    `errors` by field; `notes` say what of a file was left out.
    """

    name: str = ""
    purpose: str = ""
    is_shared: bool = False
    version: int | None = None
    values: dict[str, str] = field(default_factory=lambda: dict.fromkeys(FIELDS, ""))
    errors: dict[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    seen: Mapping[str, str] = field(default_factory=dict)

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
            seen=_read_seen(str(form.get("seen", ""))),
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
        form.seen = form.texts()
        return form

    def texts(self) -> dict[str, str]:
        """All that can be changed, by field, as text."""
        shared = "true" if self.is_shared else "false"
        return {"name": self.name, "purpose": self.purpose, "shared": shared, **self.values}

    def take(self, texts: Mapping[str, str]) -> None:
        """These fields as they are in `texts`; what was wrong with them is so no more."""
        self.name, self.purpose = texts.get("name", self.name), texts.get("purpose", self.purpose)
        self.is_shared = texts.get("shared", self.texts()["shared"]) == "true"
        self.values |= {name: text for name, text in texts.items() if name in FIELDS}
        self.errors = {name: error for name, error in self.errors.items() if name not in texts}

    @property
    def seen_text(self) -> str:
        """`seen`, as the form carries it along."""
        return _TEXTS.dump_json(dict(self.seen)).decode()

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


def _read_seen(text: str) -> dict[str, str]:
    try:
        return _TEXTS.validate_json(text)
    except ValidationError:
        return {}
