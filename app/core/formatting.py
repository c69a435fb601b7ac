"""Numbers, sizes and times as people read them, in the current locale."""

import json
from datetime import UTC, datetime
from typing import Any, Final

from app.core.i18n import get_locale, gettext, ngettext

_KIB: Final = 1024
_HOUR: Final = 3600
_DAY: Final = 24 * _HOUR


def number(value: float | None, digits: int = 0) -> str:
    """1234567.8 -> 1,234,568. None -> an en dash."""
    return "–" if value is None else f"{value:,.{digits}f}"


def percent(value: float | None, digits: int = 1) -> str:
    """0.1234 -> 12.3 %."""
    return "–" if value is None else f"{value * 100:.{digits}f} %"


def file_size(value: float | None) -> str:
    """Bytes -> 1.2 MB (powers of 1024)."""
    if value is None:
        return "–"
    amount = float(value)
    for unit in ("B", "KB", "MB", "GB"):
        if amount < _KIB:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= _KIB
    return f"{amount:.1f} TB"


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
    seconds = (datetime.now(UTC) - moment).total_seconds()
    if seconds < 60:
        return gettext("just now")
    if seconds >= _DAY:
        n = int(seconds // _DAY)
        return ngettext("%(n)d day ago", "%(n)d days ago", n) % {"n": n}
    if seconds >= _HOUR:
        n = int(seconds // _HOUR)
        return ngettext("%(n)d hour ago", "%(n)d hours ago", n) % {"n": n}
    n = int(seconds // 60)
    return ngettext("%(n)d minute ago", "%(n)d minutes ago", n) % {"n": n}


def moment(value: datetime | None) -> str:
    """2026-11-23 14:05 UTC; 2026年11月23日 14:05 UTC."""
    if value is None:
        return "–"
    pattern = "%Y年%m月%d日 %H:%M UTC" if get_locale() == "zh-CN" else "%Y-%m-%d %H:%M UTC"
    return value.astimezone(UTC).strftime(pattern)


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
