"""How large a file and its records may be; how large a conversation may be stands in app.dialogue.limits."""

from __future__ import annotations

from dataclasses import dataclass

from app.dialogue.limits import CONVERSATION_BYTES, DEPTH, FILE_BYTES, MIB, NUMBER_DIGITS, spoken_size
from app.interchange.sentences.problems import RecordRefused
from app.interchange.sentences.records import RECORD_TOO_LONG


@dataclass(frozen=True)
class ImportLimits:
    """Memory stays within a few times `record_bytes`, whatever the file contains."""

    file_bytes: int = FILE_BYTES
    record_bytes: int = CONVERSATION_BYTES  # one JSON record, or all rows of one CSV conversation
    conversations: int = 1_000_000
    lines: int = 20_000_000  # blank ones too
    depth: int = DEPTH
    number_digits: int = NUMBER_DIGITS
    members: int = 1_000  # files in one archive
    directory_bytes: int = (
        4 * MIB
    )  # of a zip file, which is held in memory with an object for each of its entries
    workbook_bytes: int = 512 * MIB  # declared unpacked size of an Excel file, which the unpacking holds to
    workbook_text_bytes: int = 64 * MIB  # of it the texts of all cells, which are held in memory
    parquet_bytes: int = 1024 * MIB  # declared unpacked size of the whole file
    row_group_bytes: int = 128 * MIB  # declared unpacked size of one Parquet row group

    def refuse_too_long(self, size: int, line: int) -> None:
        """Raises RecordRefused for a record of this many bytes where that is more than one may have."""
        if size > self.record_bytes:
            raise self.too_long(line)

    def too_long(self, line: int) -> RecordRefused:
        """The refusal of the record that begins on this line."""
        return RecordRefused(RECORD_TOO_LONG, line, limit=spoken_size(self.record_bytes))
