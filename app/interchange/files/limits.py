"""How large a file and its parts may be; the defaults fit 50,000 sales dialogues with room to spare."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True)
class ImportLimits:
    """Memory stays within a few times `record_bytes`, whatever the file contains."""

    file_bytes: int = 256 * MIB
    record_bytes: int = 4 * MIB  # one JSON record, or all rows of one CSV conversation
    conversations: int = 200_000
    lines: int = 5_000_000  # blank ones too
    messages: int = 2_000  # per conversation
    depth: int = 64  # nesting of objects and lists
    number_digits: int = 400  # Python itself gives up at 4,300
    label_chars: int = 200  # stage, objection, source, product and each tag
    tags: int = 50
    parquet_bytes: int = 1024 * MIB  # declared unpacked size of the whole file
    row_group_bytes: int = 128 * MIB  # declared unpacked size of one Parquet row group


def spoken_size(size_bytes: int) -> str:
    """A size as people write it: 4 MB, 300 KB, 12 bytes."""
    for unit, name in ((MIB, "MB"), (1024, "KB")):
        if size_bytes >= unit:
            return f"{size_bytes / unit:.4g} {name}"
    return f"{size_bytes} bytes"
