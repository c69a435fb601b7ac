"""Records of a Parquet file.

The layouts are those of JSON (a column messages, conversations or instruction); a record's line is its
row number.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import IO, Any

from app.dialogue.labels import LABELS
from app.dialogue.limits import spoken_size
from app.interchange.files.bytes_in import ByteSource
from app.interchange.files.json_records import Record
from app.interchange.files.limits import ImportLimits
from app.interchange.files.strict_json import StrictJson
from app.interchange.records.layouts import RECORD_FIELDS
from app.interchange.sentences import files as say
from app.interchange.sentences.problems import LineProblem, RecordRefused
from app.interchange.sentences.records import TOO_DEEP

_ROWS_PER_BATCH = 16  # small: one dictionary-encoded value may unpack many times
_READ = frozenset((*RECORD_FIELDS, *LABELS, "metadata", "meta"))


def read_parquet(
    source: ByteSource, limits: ImportLimits, more_columns: tuple[str, ...] = ()
) -> Iterator[Record | LineProblem]:
    """One record per row, with `more_columns` besides those that are known. Raises RecordRefused for the
    file as a whole."""
    # Half a second of loading that other files need not wait for.
    import pyarrow
    from pyarrow import parquet

    with tempfile.TemporaryFile() as file:
        for chunk in source.chunks():
            file.write(chunk)
        file.seek(0)
        rows = _rows(parquet, file, limits, _READ | set(more_columns))
        line = 0
        while True:
            try:
                row = next(rows, None)
            except (
                pyarrow.ArrowException,
                OSError,
                ValueError,
                ArithmeticError,
                LookupError,
                TypeError,
                MemoryError,
            ):
                raise RecordRefused(say.PARQUET_BROKEN) from None
            if row is None:
                return
            line += 1
            yield _record(row, line, limits)


def _rows(
    parquet: Any, file: IO[bytes], limits: ImportLimits, read: frozenset[str]
) -> Iterator[dict[str, Any]]:
    table = parquet.ParquetFile(file, pre_buffer=False)
    metadata = table.metadata
    sizes = [metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups)]
    checks = ((max(sizes, default=0), limits.row_group_bytes), (sum(sizes), limits.parquet_bytes))
    for size, limit in checks:
        if size > limit:
            raise RecordRefused(say.PARQUET_TOO_LARGE, limit=spoken_size(limit))
    names = table.schema_arrow.names
    columns = [name for name in names if name in read]
    # Columns without a meaning here are not unpacked; their names stay, to be reported as not kept.
    unread = {name: True for name in names if name not in read}
    if not columns:
        yield from ({**unread} for _ in range(min(metadata.num_rows, 1)))
        return
    for batch in table.iter_batches(batch_size=_ROWS_PER_BATCH, columns=columns, use_threads=False):
        for row in batch.to_pylist():
            yield {**row, **unread}


def _record(row: dict[str, Any], line: int, limits: ImportLimits) -> Record | LineProblem:
    try:
        value = _plain(row, line)
        StrictJson(limits).inspect(value, line)
    except RecordRefused as refusal:
        return refusal.as_problem()
    except RecursionError:
        return LineProblem.of(TOO_DEEP, line, limit=limits.depth)
    return Record(line, value)


def _plain(value: Any, line: int) -> Any:
    """Only what JSON could hold; fields without a value are dropped, as Parquet gives every row every
    field."""
    if isinstance(value, dict):
        return {key: _plain(item, line) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_plain(item, line) for item in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise RecordRefused(say.PARQUET_VALUE, line, kind=type(value).__name__)
