"""What was chosen when a version was frozen, in words."""

from collections.abc import Mapping
from typing import Any, Final

from app.accounts.who import spoken_name
from app.conversations.labels import label_words
from app.core.i18n import gettext
from app.sentences import N_

_NAMES: Final = {
    "outcome": N_("Outcome"),
    "stage": N_("Stage"),
    "objection": N_("Objection"),
    "language": N_("Language"),
    "product": N_("Product"),
    "tag": N_("Tag"),
    "editor": N_("Changed by"),
    "brought_by": N_("Import"),
    "query": N_("With the words"),
}
_OUTCOMES: Final = {"won": N_("Won"), "lost": N_("Lost"), "open": N_("Still open")}


def conditions_of(selection: Mapping[str, Any], imports: Mapping[int, str]) -> list[str]:
    """Each condition as “Stage: Proposal”; `imports` are the names of files by operation."""
    return [
        gettext("%(name)s: %(value)s")
        % {"name": gettext(label), "value": _said(name, selection[name], imports)}
        for name, label in _NAMES.items()
        if name in selection
    ]


def _said(name: str, value: Any, imports: Mapping[int, str]) -> str:
    if name == "outcome":
        return gettext(_OUTCOMES[value]) if value in _OUTCOMES else str(value)
    if name == "editor":
        return spoken_name(value)
    if name == "brought_by":
        return imports.get(value, str(value))
    return str(label_words().get(name, {}).get(value, value))
