"""Parts of a long answer, so that a download goes on where it broke off: one range of bytes, as in RFC 9110, section 14.

The tag names the bytes: whoever goes on with `If-Range` gets the whole once they are other ones.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from app.core.api_document import REFERENCES
from app.core.i18n import gettext
from app.core.responses import problem
from app.sentences import N_

_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_BEHIND: Final = N_("This has %(size)d bytes, and the part that was asked for lies behind them.")
# What an address that answers in parts tells beside its own 200.
DOCUMENTED: Final[dict[int | str, dict[str, Any]]] = {
    206: {"description": "The part that `Range` asks for: one range of bytes. `ETag` names the whole."},
    416: {
        "description": "The part lies behind the end.",
        "content": {"application/problem+json": {"schema": {"$ref": f"{REFERENCES}Problem"}}},
    },
}


@dataclass(frozen=True)
class Whole:
    """What is sent: how many bytes, a tag that changes with them, and the name of the file they become."""

    size: int
    tag: str
    filename: str
    media_type: str


def answer_with(
    request: Request, whole: Whole, pieces: Iterable[bytes], headers: dict[str, str] | None = None
) -> Response:
    """The bytes of `pieces`, which are all of them, or the part that the request's `Range` names. Several ranges at once, and one of
    another unit, are not understood and get the whole.
    """
    tag = f'"{whole.tag}"'
    part = _wanted(request, whole.size, tag)
    if part and part[0] >= part[1]:
        said = gettext(_BEHIND) % {"size": whole.size}
        refused = problem(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, said)
        refused.headers["Content-Range"] = f"bytes */{whole.size}"
        return refused
    start, stop = part or (0, whole.size)
    told = {
        **(headers or {}),
        "Accept-Ranges": "bytes",
        "ETag": tag,
        "Content-Disposition": f'attachment; filename="{whole.filename}"',
        "Content-Length": str(stop - start),
    }
    if part:
        told["Content-Range"] = f"bytes {start}-{stop - 1}/{whole.size}"
    return StreamingResponse(
        cut(pieces, start, stop),
        status_code=HTTPStatus.PARTIAL_CONTENT if part else HTTPStatus.OK,
        media_type=whole.media_type,
        headers=told,
    )


def _wanted(request: Request, size: int, tag: str) -> tuple[int, int] | None:
    """The first byte and the one behind the last; the same twice where there is none such, None where the whole is wanted."""
    found = _RANGE.fullmatch(request.headers.get("range", ""))
    if found is None or request.headers.get("if-range", tag) != tag:
        return None
    first, last = found.groups()
    if not first:
        return (max(size - int(last), 0), size) if last else None
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last) + 1, size) if last else size


def cut(pieces: Iterable[bytes], start: int, stop: int) -> Iterator[bytes]:
    """Of the bytes of all pieces those from `start` up to `stop`; what comes behind is not made any more."""
    place = 0
    for piece in pieces:
        wanted = piece[max(start - place, 0) : max(stop - place, 0)]
        place += len(piece)
        if wanted:
            yield wanted
        if place >= stop:
            return
