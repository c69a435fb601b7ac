"""The options of the `masks` commands that tell of the tool a file comes from: what an import is told, by the same names."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from app.cli.masks.reading import read_mapping_file
from app.cli.options import EncodingOption, EntryOption, InfoOption, MaskOption, TrainFieldOption
from app.cli.text_files import unreadable
from app.core.console import CommandFailed
from app.core.i18n import gettext as _
from app.core.i18n import say
from app.interchange import SourceRefused, read_dataset_info
from app.interchange.reading import Source, require_one_format
from app.interchange.records.column_map import ColumnMap
from app.interchange.records.dataset_info import MAX_BYTES

_SOURCE: Final = "source"
MappingFile = Annotated[
    Path | None,
    typer.Option(
        "--mapping", metavar="FILE", help=_("How a file of an unknown layout is read: a JSON or YAML file.")
    ),
]


def with_source_options(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command that takes `input` and `source` the options of an import instead of the latter; they make it."""
    options = inspect.signature(_source).parameters

    def called(**values: Any) -> None:
        chosen = {name: values.pop(name) for name in options if name != "input"}
        command(**values, source=lambda: _source(values["input"], **chosen))

    own = [one for one in inspect.signature(command).parameters.values() if one.name != _SOURCE]
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [*own, *(one.replace(kind=keyword) for name, one in options.items() if name != "input")]
    # Typer reads both.
    called.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [one.replace(kind=keyword) for one in parameters]
    )
    called.__annotations__ = {one.name: one.annotation for one in parameters}
    called.__doc__ = command.__doc__
    return called


def _source(
    input: str,
    mapping: MappingFile = None,
    encoding: EncodingOption = "auto",
    dataset_info: InfoOption = None,
    dataset_info_entry: EntryOption = "",
    mask: MaskOption = "file",
    train_field: TrainFieldOption = "",
) -> Source:
    """Raises CommandFailed."""
    try:
        columns = _columns(dataset_info, dataset_info_entry.strip(), input)
        told = read_mapping_file(mapping) if mapping else None
        source = Source(columns, mask, train_field.strip() or None, encoding, told)
        require_one_format(source, "auto")
    except SourceRefused as refused:
        raise CommandFailed(say(refused.sentence)) from refused
    return source


def _columns(file: Path | None, entry: str, input: str) -> ColumnMap | None:
    if file is None:
        if entry:
            raise CommandFailed(_("An entry is named, but no dataset_info.json is given."))
        return None
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise unreadable(str(file), error) from error
    return read_dataset_info(data, filename=Path(input).name, entry=entry or None)
