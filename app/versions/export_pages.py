"""The page on which a frozen version is downloaded for another tool. A plain form; no script takes part."""

import shlex
from typing import Annotated, Any, Final

from fastapi import Query, Request, Response
from sqlmodel import Session

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.core.database import let_go
from app.core.errors import Invalid
from app.core.i18n import gettext
from app.core.routing import Router
from app.core.templating import render
from app.core.web import AppEngine, AppStorage, Db
from app.datasets.models import Dataset
from app.datasets.service import require_dataset
from app.interchange.exports.exporting import EXPORT_FORMATS, ExportFormat, FlagChoice, Part
from app.sentences import N_
from app.versions import exports
from app.versions.export_api import send
from app.versions.models import DatasetVersion
from app.versions.service import require_number

router = Router(include_in_schema=False)
_FORMAT_HINTS: Final[dict[ExportFormat, str]] = {
    "messages": N_("JSON Lines with everything: flags, labels, tool calls. Nothing is lost."),
    "openai": N_("messages with weight 0 or 1 on answers. Labels and thinking have no place in it."),
    "sharegpt": N_("conversations with from and value, flags and labels beside them."),
    "alpaca": N_("instruction, output and history. No flags: what is read from it is up to the reader."),
    "csv": N_("One message a row, for spreadsheets."),
    "axolotl": N_("A zip: data with a train flag on each turn, and the config that reads it."),
    "llamafactory": N_("A zip: data, dataset_info.json, and the arguments that train the same turns."),
    "trl": N_("A zip: data and a config for “trl sft”."),
}
_FORMAT_LABELS: Final[dict[str, str]] = {"messages": N_("SFT Studio (messages)"), "csv": N_("CSV table")}
_FLAGS: Final[dict[FlagChoice, str]] = {
    "refuse": N_("Refuse, and say which conversation it is"),
    "split": N_("Write one sample for each trained turn"),
    "drop": N_("Leave those flags out"),
}
_PARTS: Final[dict[Part, str]] = {
    "all": N_("All conversations"),
    "train": N_("For training"),
    "validation": N_("Held out"),
}


def _require(session: Session, dataset_id: int, number: int) -> tuple[Dataset, DatasetVersion]:
    dataset = require_dataset(session, dataset_id)
    return dataset, require_number(session, dataset_id, number)


def _form(dataset: Dataset, version: DatasetVersion, **chosen: Any) -> dict[str, Any]:
    formats = [
        (name, gettext(_FORMAT_LABELS.get(name, exports.format_name(name))), gettext(_FORMAT_HINTS[name]))
        for name in EXPORT_FORMATS
    ]
    return {
        "dataset": dataset,
        "version": version,
        "command": _command(dataset, version, chosen["format"]),
        "formats": formats,
        "flag_choices": [(name, gettext(label)) for name, label in _FLAGS.items()],
        "parts": [(name, gettext(label)) for name, label in _PARTS.items()],
        "flags": "refuse",
        "part": "all",
        "error": None,
        "can_leave_out": 0,
        **chosen,
    }


def _command(dataset: Dataset, version: DatasetVersion, format: ExportFormat) -> str:
    return (
        f"sft-studio export --dataset {shlex.quote(dataset.name)} --version {version.number} "
        f"--as {format} --out exported"
    )


@router.get("/datasets/{dataset_id}/versions/{number}/download")
@needs(Permission.VERSION_EXPORT)
def download_page(
    request: Request,
    session: Db,
    dataset_id: int,
    number: int,
    format: Annotated[ExportFormat, Query(alias="as")] = "messages",
) -> Response:
    """Choose a format."""
    dataset, version = _require(session, dataset_id, number)
    return render(request, "datasets/download.html", _form(dataset, version, format=format))


@router.get("/datasets/{dataset_id}/versions/{number}/export")
@needs(Permission.VERSION_EXPORT)
def download(
    request: Request,
    session: Db,
    engine: AppEngine,
    storage: AppStorage,
    actor: CurrentActor,
    dataset_id: int,
    number: int,
    format: Annotated[ExportFormat, Query(alias="as")],
    flags: FlagChoice = "refuse",
    part: Part = "all",
    leave_out: bool = False,
) -> Response:
    """The file; the form again where it cannot be had exactly."""
    dataset, version = _require(session, dataset_id, number)
    let_go(session)
    try:
        found = exports.export_version(
            storage, dataset, version, format, flags=flags, part=part, leave_out=leave_out
        )
    except Invalid as error:
        count = error.count if isinstance(error, exports.DoNotFit) else 0
        chosen = {"format": format, "flags": flags, "part": part}
        form = _form(dataset, version, **chosen, error=error, can_leave_out=count)
        return render(request, "datasets/download.html", form, status=422)
    return send(found, engine, actor, version)
