"""The report counts everything, keeps the first entries, and speaks the reader's language."""

from __future__ import annotations

import json
import tracemalloc
from hashlib import sha256

from app.interchange import ImportReport
from app.interchange.report import KEPT
from app.interchange.seen import SeenBefore
from tests.interchange.reading_aloud import LINE, read


def report_on(data: bytes) -> tuple[ImportReport, list[bool]]:
    report = ImportReport("a.jsonl")
    return report, [report.add(item) for item in read(data, filename="a.jsonl")]


def test_new_conversations_duplicates_and_problems_add_up() -> None:
    other = LINE.replace(b"much", b"many")
    report, new = report_on(b"\n".join([LINE, b"broken", other, LINE]))
    assert new == [True, False, True, False]
    assert (report.read, report.accepted, report.duplicates, report.problem_count) == (4, 2, 1, 1)
    assert report.format == "messages"
    assert not report.ok
    (duplicate,) = report.duplicate_records
    assert (duplicate.line, duplicate.first_line) == (4, 1)


def test_duplicates_are_seen_on_a_single_line_too() -> None:
    report, _ = report_on(b"[" + LINE + b"," + LINE + b"]")
    assert (report.accepted, report.duplicates) == (1, 1)
    assert (report.duplicate_records[0].record, report.duplicate_records[0].first_record) == (2, 1)


def test_all_problems_are_counted_but_only_the_first_are_kept() -> None:
    report, _ = report_on(b'{"messages": 1}\n' * (KEPT + 50))
    assert (report.problem_count, len(report.problems)) == (KEPT + 50, KEPT)


def test_a_problem_of_the_whole_file_is_no_record() -> None:
    report, _ = report_on(b"")
    assert (report.read, report.problem_count, report.format) == (0, 1, None)


def test_the_report_is_plain_json_with_translated_sentences() -> None:
    report, _ = report_on(LINE + b'\n{"messages": [{"role": "wizard", "content": "x"}]}')
    value = json.loads(json.dumps(report.as_dict(lambda text: "第 %(line)d 行，“%(role)s”")))
    assert value["problems"] == [
        {"line": 2, "record": 2, "member": "", "code": "unknown_role", "message": "第 2 行，“wizard”"}
    ]


def test_what_came_before_is_known_without_being_held_in_memory() -> None:
    seen = SeenBefore()
    tracemalloc.start()
    for number in range(30_000):
        assert seen.first(sha256(str(number).encode()).digest(), number, number + 1) is None
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200_000
    assert seen.first(sha256(b"7").digest(), 40_000, 40_001) == (7, 8)
