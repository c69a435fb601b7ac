"""What was told, read back from a record, and what of it is still to be told."""

from pathlib import Path

from app.jobs.events import EventKind
from app.jobs.record import RECORD, after_the_last_stored, line_of, read_record

LOSSES = [(EventKind.METRIC, {"loss": 3 - step / 7, "step": step}) for step in range(1, 5)]


def test_a_record_is_read_up_to_what_was_torn(tmp_path: Path) -> None:
    assert list(read_record(tmp_path)) == []
    lines = [line_of(kind, payload) for kind, payload in LOSSES]
    torn = lines[2][:-5]
    (tmp_path / RECORD).write_text("\n".join([*lines[:2], '["no kind", {}]', "7", torn]), encoding="utf-8")
    assert list(read_record(tmp_path)) == LOSSES[:2]


def test_what_comes_after_the_last_stored_is_left_however_its_fields_are_ordered() -> None:
    stored = [(kind, dict(reversed(payload.items()))) for kind, payload in LOSSES[:3]]
    assert after_the_last_stored(LOSSES, stored) == LOSSES[3:]
    assert after_the_last_stored(LOSSES, []) == LOSSES
    assert after_the_last_stored(LOSSES, LOSSES) == []
