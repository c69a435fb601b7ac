"""What an import is told about the tool that the file comes from: its dataset_info.json, what it trained."""

from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import Depends, File, Form, UploadFile
from sqlmodel import Session

from app.core.errors import Invalid
from app.core.i18n import gettext
from app.core.pieces import piece
from app.imports.mapping_document import MAX_BYTES as MAX_MAPPING_BYTES
from app.imports.mapping_document import parse_mapping
from app.imports.mappings import require_mapping
from app.interchange import (
    ENCODINGS,
    SOURCE_MASKS,
    Encoding,
    Format,
    Source,
    SourceMask,
    SourceRefused,
    read_dataset_info,
)
from app.interchange.files.encodings import spoken_name
from app.interchange.mapping.model import DialogueMapping
from app.interchange.reading import require_one_format
from app.interchange.records.dataset_info import MAX_BYTES
from app.sentences import N_

_MASK_LABELS: Final[dict[SourceMask, str]] = {
    "file": N_("What its flags say, else every assistant turn"),
    "assistant": N_("Every assistant turn, whatever its flags say"),
    "last_assistant": N_("Last assistant turn only (mask_history)"),
    "everything": N_("Every turn (train_on_prompt)"),
}

_ENCODING_WORDS: Final[dict[Encoding, str]] = {
    "auto": N_("Recognise it"),
    "gb18030": N_("GB18030, GBK (Chinese)"),
    "big5": N_("Big5 (traditional Chinese)"),
    "windows-1252": N_("Windows-1252 (Western European)"),
    "windows-1251": N_("Windows-1251 (Cyrillic)"),
    "shift-jis": N_("Shift JIS (Japanese)"),
    "euc-kr": N_("EUC-KR (Korean)"),
}


class ToldSource:
    """The form fields of an import that tell of its source, beside the file itself."""

    def __init__(
        self,
        dataset_info: Annotated[
            UploadFile | None,
            File(description="LLaMA-Factory's dataset_info.json: its columns and tags are applied."),
        ] = None,
        dataset_info_entry: Annotated[
            str,
            Form(
                max_length=200,
                title=N_("Entry of dataset_info.json"),
                description="The entry that describes the file; else chosen by file name.",
            ),
        ] = "",
        mask: Annotated[SourceMask, Form(description="What the source trained.")] = "file",
        train_field: Annotated[
            str,
            Form(
                max_length=80,
                title=N_("Another name of the train flag"),
                description="The field of a message that tells whether it is trained.",
            ),
        ] = "",
        encoding: Annotated[
            Encoding, Form(description="The encoding of the file; recognised, and told, unless it is given.")
        ] = "auto",
        mapping: Annotated[
            str,
            Form(
                max_length=MAX_MAPPING_BYTES,
                description="How a file of an unknown layout is read: a mapping as JSON or YAML, or the name of a kept one.",
            ),
        ] = "",
    ) -> None:
        self.entry = dataset_info_entry.strip()
        self.mask = mask
        self.train_field = train_field.strip()
        self.encoding = encoding
        self.mapping = mapping
        self._info = dataset_info if dataset_info is not None and dataset_info.filename else None

    def read(self, session: Session, filename: str, format: Format) -> Source:
        """For the file of this name; the session holds no connection afterwards. Raises Invalid naming the field, and
        NotFound for a mapping that is not kept."""
        mapping = self._read_mapping(session) if self.mapping.strip() else None
        return replace(self._read(filename, format, mapping), encoding=self.encoding)

    def _read_mapping(self, session: Session) -> DialogueMapping:
        if self.mapping.lstrip().startswith("{") or "\n" in self.mapping:
            return parse_mapping(self.mapping)
        with piece(session, read_only=True):
            return require_mapping(session, self.mapping).document

    def _read(self, filename: str, format: Format, mapping: DialogueMapping | None) -> Source:
        if self._info is None:
            if self.entry:
                text = N_("An entry is named, but no dataset_info.json is given.")
                raise Invalid(text, field="dataset_info")
            return self._one_format(
                Source(None, self.mask, self.train_field or None, mapping=mapping), format
            )
        try:
            data = self._info.file.read(MAX_BYTES + 1)
            columns = read_dataset_info(data, filename=filename, entry=self.entry or None)
        except SourceRefused as refused:
            raise Invalid(refused.sentence, field=_field_of(refused)) from refused
        return self._one_format(Source(columns, self.mask, self.train_field or None, mapping=mapping), format)

    def _one_format(self, source: Source, format: Format) -> Source:
        try:
            require_one_format(source, format)
        except SourceRefused as refused:
            raise Invalid(refused.sentence, field=_field_of(refused)) from refused
        return source

    def form(self, error: Invalid | None = None) -> dict[str, Any]:
        """What the form shows: the choices, what was typed, and the sentence of an error beside its field."""
        return {
            "masks": mask_choices(),
            "mask": self.mask,
            "dataset_info_entry": self.entry,
            "train_field": self.train_field,
            "encodings": [(name, _encoding_label(name)) for name in ENCODINGS],
            "encoding": self.encoding,
            "source_errors": {error.field: error.translated()} if error else {},
        }


def mask_choices() -> list[tuple[SourceMask, str]]:
    """What a source may have trained, in words."""
    return [(name, gettext(_MASK_LABELS[name])) for name in SOURCE_MASKS]


def _encoding_label(name: Encoding) -> str:
    return gettext(_ENCODING_WORDS[name]) if name in _ENCODING_WORDS else spoken_name(name)


def _field_of(refused: SourceRefused) -> str:
    unclear = {"info_no_such_entry", "info_none_fits", "info_several_fit"}
    if refused.code in ("format_conflict", "mapping_conflict"):
        return "format"
    return "dataset_info_entry" if refused.code in unclear else "dataset_info"


Told = Annotated[ToldSource, Depends()]
