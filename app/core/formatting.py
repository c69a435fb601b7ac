"""Numbers, sizes and times as people read them, in the current locale's words (Unicode CLDR, through Babel)."""

import json
from datetime import UTC, datetime
from typing import Any, Final

from babel.dates import format_datetime, format_timedelta
from babel.numbers import format_decimal, format_percent
from babel.units import format_unit

from app.core.i18n import babel_locale, gettext

_UNITS: Final = ("byte", "kilobyte", "megabyte", "gigabyte", "terabyte")
_KIB: Final = 1024
_MINUTE: Final = 60
_MOMENT: Final = {"en": "yyyy-MM-dd HH:mm 'UTC'", "zh_CN": "yyyy年MM月dd日 HH:mm 'UTC'"}


def _pattern(digits: int) -> str:
    return "#,##0." + "0" * digits if digits else "#,##0"


def number(value: float | None, digits: int = 0) -> str:
    """1234567.8 -> 1,234,568. None -> an en dash."""
    if value is None:
        return "–"
    # What rounds to nothing has no sign.
    shown = value if round(value, digits) else 0
    return format_decimal(shown, format=_pattern(digits), locale=babel_locale())


def percent(value: float | None, digits: int = 1) -> str:
    """0.1234 -> 12.3 %."""
    if value is None:
        return "–"
    return format_percent(value, format=f"{_pattern(digits)} %", locale=babel_locale())


def file_size(value: float | None) -> str:
    """Bytes -> 1.2 MB (powers of 1024)."""
    if value is None:
        return "–"
    amount, unit = float(value), _UNITS[0]
    for unit in _UNITS:
        if amount < _KIB or unit == _UNITS[-1]:
            break
        amount /= _KIB
    if unit == "byte":
        # The short form of English has no plural for bytes.
        return format_unit(amount, "digital-byte", length="long", format=_pattern(0), locale=babel_locale())
    return format_unit(amount, f"digital-{unit}", length="short", format=_pattern(1), locale=babel_locale())


def duration(seconds: float | None) -> str:
    """Seconds -> 45 s, 3 min 20 s, 2 h 5 min."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    if whole < 60:
        return gettext("%(seconds)d s") % {"seconds": whole}
    if whole < 3600:
        return gettext("%(minutes)d min %(seconds)d s") % {"minutes": whole // 60, "seconds": whole % 60}
    return gettext("%(hours)d h %(minutes)d min") % {"hours": whole // 3600, "minutes": whole % 3600 // 60}


def ago(moment: datetime | None) -> str:
    """How long ago, roughly; the template also gives the exact time in `datetime`."""
    if moment is None:
        return "–"
    passed = datetime.now(UTC) - moment
    if passed.total_seconds() < _MINUTE:
        return gettext("just now")
    return format_timedelta(
        -passed, granularity="minute", threshold=1, add_direction=True, locale=babel_locale()
    )


def moment(value: datetime | None) -> str:
    """2026-11-23 14:05 UTC; 2026年11月23日 14:05 UTC."""
    if value is None:
        return "–"
    return format_datetime(value.astimezone(UTC), _MOMENT[babel_locale()], locale=babel_locale())


def pretty_json(value: Any) -> str:
    """JSON to read: indented, in the order it was given, characters as they are."""
    return json.dumps(value, ensure_ascii=False, indent=2)


FILTERS: Final[dict[str, Any]] = {
    "number": number,
    "percent": percent,
    "file_size": file_size,
    "duration": duration,
    "ago": ago,
    "moment": moment,
    "pretty_json": pretty_json,
}
