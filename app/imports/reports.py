"""What a page shows of the report of an import."""

from typing import Any, Final

from app.core.i18n import gettext
from app.datasets.models import Dataset
from app.imports.models import DatasetImport
from app.imports.schemas import ImportRemarkOut
from app.imports.work import SameQuestions
from app.sentences import N_

FORMAT_LABELS: Final[dict[str, str]] = {
    "auto": N_("Detect it"),
    "messages": N_("OpenAI messages (JSON Lines)"),
    "sharegpt": N_("ShareGPT"),
    "alpaca": N_("Alpaca"),
    "csv": N_("CSV or another table"),
    "parquet": N_("Parquet"),
}
_REPORT_LABELS: Final[dict[str, str]] = {
    **FORMAT_LABELS,
    "messages": N_("JSON, OpenAI messages"),
    "csv": N_("CSV"),
    "xlsx": N_("Excel"),
    "chat": N_("chat log"),
}
# Problems that a person can put right by saying what the columns mean.
MAPPING_HELPS: Final = frozenset(
    {
        "unknown_layout",
        "bare_message",
        "chat_sides",
        "csv_columns",
        "csv_no_id",
        "csv_scattered",
        "messages_not_list",
        "no_role",
        "unknown_role",
        "no_content",
        "mapping_side_unknown",
        "wrong_layout",
    }
)
SAME_LABELS: Final[dict[SameQuestions, str]] = {
    "ask": N_("Ask me"),
    "replace": N_("Replace the old answer (as a new revision)"),
    "keep": N_("Keep both"),
    "skip": N_("Skip the new one"),
}


def same_choices() -> list[tuple[str, str]]:
    """What may become of a corrected record, in words."""
    return [(choice, gettext(label)) for choice, label in SAME_LABELS.items()]


def report_context(
    dataset: Dataset, found: DatasetImport, *, retry_form: str = "", mapping_href: str = ""
) -> dict[str, Any]:
    """`retry_form` is the id of the form with the file where it is on the page; `mapping_href` leads to the step in which
    a person says what the columns mean."""
    # A file that tells nothing of itself has no format, whatever was chosen.
    label = N_("unknown") if found.format == "auto" else _REPORT_LABELS.get(found.format, found.format)
    return {
        "dataset": dataset,
        "report": found,
        "problems": [ImportRemarkOut.of(item) for item in found.problems],
        "notes": [ImportRemarkOut.of(item) for item in found.notes],
        "format_label": gettext(label),
        "retry_form": retry_form,
        "mapping_href": mapping_href,
        "same_buttons": [choice for choice in same_choices() if choice[0] != "ask"],
        "is_unreadable": bool(found.problems) and not any(item["line"] for item in found.problems),
    }
