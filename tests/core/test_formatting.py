"""Numbers, sizes and times as people read them, in both languages."""

from datetime import UTC, datetime, timedelta

import pytest

from app.core import formatting
from app.core.i18n import use_locale


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (formatting.number(1234567.8), "1,234,568"),
        (formatting.number(0.5, 2), "0.50"),
        (formatting.number(-0.0004, 3), "0.000"),
        (formatting.percent(0.1234), "12.3 %"),
        (formatting.file_size(0), "0 bytes"),
        (formatting.file_size(1), "1 byte"),
        (formatting.file_size(421), "421 bytes"),
        (formatting.file_size(1536), "1.5 kB"),
        (formatting.file_size(3 * 1024**3), "3.0 GB"),
        (formatting.duration(45), "45 s"),
        (formatting.duration(200), "3 min 20 s"),
        (formatting.duration(7500), "2 h 5 min"),
        (formatting.moment(datetime(2026, 11, 23, 14, 5, tzinfo=UTC)), "2026-11-23 14:05 UTC"),
        (formatting.pretty_json({"b": "你", "a": 1}), '{\n  "b": "你",\n  "a": 1\n}'),
    ],
)
def test_in_english(shown: str, expected: str) -> None:
    assert shown == expected


@pytest.mark.parametrize("name", sorted(set(formatting.FILTERS) - {"pretty_json"}))
def test_what_is_not_known_is_a_dash(name: str) -> None:
    assert formatting.FILTERS[name](None) == "–"


def test_times_speak_the_readers_language() -> None:
    now = datetime.now(UTC)
    assert formatting.ago(now) == "just now"
    assert formatting.ago(now - timedelta(hours=3)) == "3 hours ago"
    with use_locale("zh-CN"):
        assert formatting.ago(now - timedelta(hours=3)) == "3小时前"
        assert formatting.moment(datetime(2026, 11, 23, 14, 5, tzinfo=UTC)) == "2026年11月23日 14:05 UTC"
