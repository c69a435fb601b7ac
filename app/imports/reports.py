"""What a page shows of the report of an import."""

from typing import Any, Final

from app.core.i18n import gettext, say
from app.datasets.models import Dataset
from app.imports.models import DatasetImport
from app.sentences import N_, Sentence

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
        "problems": [_remark(item) for item in found.problems],
        "notes": [_remark(item) for item in found.notes],
        "format_label": gettext(label),
        "retry_form": retry_form,
        "mapping_href": mapping_href,
        "is_unreadable": bool(found.problems) and not any(item["line"] for item in found.problems),
    }


def _remark(stored: dict[str, Any]) -> dict[str, Any]:
    return {
        "line": stored["line"],
        "code": stored["code"],
        "message": say(Sentence.stored_in(stored)),
        "member": stored.get("member", ""),
    }
