"""The form of a mapping: from what a person chose to a mapping, and from a mapping and a file to what is shown."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final, Literal

from fastapi import Depends, Form

from app.core.i18n import gettext
from app.dialogue.roles import get_role
from app.imports.mapping_document import MappingDocument, read_mapping
from app.interchange.mapping.model import Others, Side, Turns
from app.interchange.mapping.sample import Sample
from app.sentences import N_

TURNS: Final[dict[Turns, tuple[str, str]]] = {
    "rows": (N_("One turn a row"), N_("Each row is one message: chat exports, call logs.")),
    "list": (N_("A list of turns"), N_("A record holds a whole dialogue as a list.")),
    "pairs": (N_("Question and answer"), N_("A row has both; rows may follow each other.")),
    "text": (N_("One text"), N_("A field holds the whole dialogue: “Customer: … Sales: …”.")),
}
SIDES: Final[dict[Side, str]] = {
    "user": N_("Customer (user)"),
    "assistant": N_("Sales (assistant)"),
    "system": N_("System prompt"),
    "left_out": N_("Left out"),
}
OTHERS: Final[dict[Others, str]] = {
    "refuse": N_("Stop and tell me"),
    "user": N_("Customer (user)"),
    "assistant": N_("Sales (assistant)"),
    "left_out": N_("Left out"),
}
# The choices of columns, by what a record is: field, label, whether it may be left empty.
COLUMNS: Final[dict[Turns, tuple[tuple[str, str, bool], ...]]] = {
    "rows": (
        ("side", N_("Who speaks"), False),
        ("text", N_("The words"), False),
        ("conversation", N_("Which dialogue"), True),
        ("order", N_("Order of the turns"), True),
    ),
    "list": (
        ("field", N_("The list"), False),
        ("side", N_("Who speaks"), False),
        ("text", N_("The words"), False),
        ("system", N_("System prompt"), True),
    ),
    "pairs": (
        ("question", N_("Question of the customer"), False),
        ("answer", N_("Answer of sales"), False),
        ("system", N_("System prompt"), True),
        ("id", N_("Id of the row"), True),
        ("parent", N_("Id of the row before"), True),
    ),
    "text": (("field", N_("The text"), False),),
}
_LABELS: Final = {
    "outcome": N_("Outcome"),
    "stage": N_("Stage"),
    "objection": N_("Objection"),
    "product": N_("Product"),
    "source": N_("Source"),
    "tags": N_("Tags"),
}
Column = Annotated[str, Form(max_length=200)]


class MappingForm:
    """The fields as they were sent."""

    def __init__(
        self,
        turns: Annotated[Literal["", Turns], Form()] = "",
        conversation: Column = "",
        order: Column = "",
        field: Column = "",
        side: Column = "",
        text: Column = "",
        question: Column = "",
        answer: Column = "",
        system: Column = "",
        id: Column = "",
        parent: Column = "",
        side_value: Annotated[list[str] | None, Form()] = None,
        side_is: Annotated[list[str] | None, Form()] = None,
        others: Annotated[Others, Form()] = "refuse",
        merge: Annotated[bool, Form()] = False,
        only_column: Column = "",
        only_values: Annotated[list[str] | None, Form()] = None,
        label: Annotated[list[str] | None, Form()] = None,
        label_column: Annotated[list[str] | None, Form()] = None,
    ) -> None:
        chosen = {
            "conversation": conversation, "order": order, "field": field, "side": side, "text": text,
            "question": question, "answer": answer, "system": system, "id": id, "parent": parent,
        }  # fmt: skip
        kept = {name for name, _, _ in COLUMNS[turns]} if turns else set()
        sides = zip(side_value or (), side_is or (), strict=False)
        self.shown = frozenset(side_value or ())  # the values that the person had before them
        labels = zip(label or (), label_column or (), strict=False)
        self.document: dict[str, Any] = {
            "turns": turns,
            **{name: value for name, value in chosen.items() if name in kept and value},
            "sides": {value: is_ for value, is_ in sides if is_},
            "others": others,
            "merge": merge,
            "only_column": only_column,
            "only_values": (only_values or []) if only_column else [],
            "labels": {name: column for name, column in labels if column},
        }

    def mapping(self) -> MappingDocument:
        """What was chosen. Raises Invalid where something is missing."""
        return read_mapping(self.document)


ChosenMapping = Annotated[MappingForm, Depends()]


def place_known(
    sample: Sample, document: dict[str, Any], names: Sequence[str], shown: frozenset[str]
) -> None:
    """Give the values of a column that was just chosen the side that their names say; what the person has seen stays as
    they left it."""
    turns: Turns = document.get("turns") or "rows"
    values = _side_values(sample, turns, document) if turns != "text" else tuple(names)
    for value in values or ():
        if value not in shown and get_role(value) in SIDES:
            document["sides"].setdefault(value, get_role(value))


def say_missing(document: dict[str, Any]) -> str:
    """What is still to be chosen before the first dialogues can be shown, by the names that the form gives it; empty where nothing is."""
    turns: Turns = document.get("turns") or "rows"
    missing = [
        gettext(label) for name, label, optional in COLUMNS[turns] if not (optional or document.get(name))
    ]
    if not missing:
        return ""
    return gettext("Choose a column for: %(missing)s. The first dialogues appear here then.") % {
        "missing": ", ".join(missing)
    }


def form_context(sample: Sample, document: dict[str, Any], names: Sequence[str] = ()) -> dict[str, Any]:
    """What the form shows for this document, which need not be a whole mapping. `names` speak in a text."""
    turns: Turns = document.get("turns") or "rows"
    values = _side_values(sample, turns, document) if turns != "text" else tuple(names)
    return {
        "chosen": document,
        "turns": turns,
        "kinds": [(kind, gettext(label), gettext(hint)) for kind, (label, hint) in TURNS.items()],
        "columns": [
            (name, gettext(label), optional, _choices(sample, turns, name, document))
            for name, label, optional in COLUMNS[turns]
        ],
        "side_values": [(value, document.get("sides", {}).get(value, "")) for value in values or ()],
        "sides_unknown": values is None,
        "sides": [("", gettext("Choose …")), *((side, gettext(label)) for side, label in SIDES.items())],
        "others": [(other, gettext(label)) for other, label in OTHERS.items()],
        "all_columns": _options(sample.columns),
        "only_choices": sample.values.get(document.get("only_column") or "", ()),
        "labels": [
            (name, gettext(words), document.get("labels", {}).get(name, ""))
            for name, words in _LABELS.items()
        ],
    }


def _choices(sample: Sample, turns: Turns, name: str, document: dict[str, Any]) -> list[tuple[str, str]]:
    if turns == "list" and name == "field":
        return _options(sample.inner)
    if turns == "list" and name in ("side", "text"):
        return _options(sample.inner.get(document.get("field") or "", ()))
    return _options(sample.columns)


def _options(names: Iterable[str]) -> list[tuple[str, str]]:
    return [("", "—"), *((name, name) for name in names)]


def _side_values(sample: Sample, turns: Turns, document: dict[str, Any]) -> tuple[str, ...] | None:
    """The values to be placed; None where they are too many to be listed."""
    side = document.get("side") or ""
    if turns == "pairs" or not side:
        return ()
    return sample.values.get(f"{document.get('field')}[].{side}" if turns == "list" else side)
