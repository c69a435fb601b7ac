"""The fields of the training config as forms, tables and the API's document show them, read from the model itself."""

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from app.core.i18n import gettext
from app.recipes.config import TrainingConfig
from app.recipes.setting import Section
from app.sentences import N_

_PROPERTIES: Final[dict[str, dict[str, Any]]] = TrainingConfig.model_json_schema()["properties"]


@dataclass(frozen=True)
class ConfigField:
    """One field. `choices` makes it a list, else it is typed in; limits are inclusive unless `above` is set.

    `label`, `meaning` and `unit` are messages to translate.
    """

    name: str
    label: str
    meaning: str
    section: Section
    unit: str
    choices: tuple[str, ...]
    is_number: bool
    # Of several lines.
    is_text: bool
    minimum: float | None
    above: float | None
    maximum: float | None

    @property
    def allowed(self) -> str:
        """The values it takes, in the reader's language; empty where its meaning says it."""
        if self.choices:
            return ", ".join(self.choices)
        if self.maximum is None:
            return ""
        values = {"low": _limit(self.minimum), "above": _limit(self.above), "high": _limit(self.maximum)}
        template = N_("%(low)s to %(high)s") if self.above is None else N_("above %(above)s, up to %(high)s")
        return gettext(template) % values


@dataclass(frozen=True)
class FieldGroup:
    """Fields that one looks at together."""

    section: Section
    fields: tuple[ConfigField, ...]


def display(value: object) -> str:
    """A config value as a person would type it: 1e-4, 0.05, true, q_proj,v_proj."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(str(item) for item in value)
    if isinstance(value, float):
        # Learning rates are compared by their powers of ten: 1e-4 beside 5e-5, where Python would write 0.0001.
        return f"{Decimal(f'{value:.15g}'):e}" if 0 < abs(value) < 1e-3 else f"{value:.15g}"
    return str(value)


def _limit(value: float | None) -> str:
    return f"{value:,}" if isinstance(value, int) else display(value)


def displayed(config: TrainingConfig) -> dict[str, str]:
    """Every field as a person would type it."""
    return {name: display(getattr(config, name)) for name in TrainingConfig.model_fields}


def changes_schema(names: Collection[str] = TrainingConfig.model_fields) -> dict[str, Any]:
    """JSON Schema of changes to a recipe: the fields with their limits, none required and none with a default."""
    properties = {
        name: {key: value for key, value in schema.items() if key != "default"}
        for name, schema in _PROPERTIES.items()
        if name in names
    }
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _field(name: str, schema: dict[str, Any]) -> ConfigField:
    choices = tuple(str(choice) for choice in schema.get("enum", ()))
    if schema.get("type") == "boolean":
        choices = ("true", "false")
    elif {"type": "boolean"} in schema.get("anyOf", ()):
        constants = tuple(str(one["const"]) for one in schema["anyOf"] if "const" in one)
        choices = (*constants, "true", "false")
    return ConfigField(
        name=name,
        label=schema["title"],
        meaning=schema["description"],
        section=Section(schema["section"]),
        unit=schema.get("unit", ""),
        choices=choices,
        is_number=schema.get("type") in ("integer", "number"),
        is_text="maxLength" in schema,
        minimum=schema.get("minimum"),
        above=schema.get("exclusiveMinimum"),
        maximum=schema.get("maximum"),
    )


FIELDS: Final = {name: _field(name, schema) for name, schema in _PROPERTIES.items()}
FIELD_GROUPS: Final = tuple(
    FieldGroup(section, tuple(field for field in FIELDS.values() if field.section is section))
    for section in Section
)
