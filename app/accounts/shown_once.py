"""A secret that a page shows once after a form was sent: a cookie of a minute carries it over the redirect, so that
reloading the page neither makes a second one nor shows it again.
"""

import json
from typing import Final

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

_COOKIE: Final = "sft_shown_once"
_SECONDS: Final = 60


def see_once(path: str, secret: dict[str, str], *, https: bool) -> Response:
    """On to the page below `path`, which reads it with `take`."""
    response = RedirectResponse(path, status_code=303)
    # No script reads it, no other path and no other site is sent it.
    response.set_cookie(
        _COOKIE,
        json.dumps(secret),
        max_age=_SECONDS,
        path=path,
        httponly=True,
        samesite="strict",
        secure=https,
    )
    return response


def shown(request: Request) -> dict[str, str]:
    """What was to be shown on this page, empty when there is nothing."""
    try:
        found = json.loads(request.cookies.get(_COOKIE, "{}"))
    except ValueError:
        return {}
    return {name: str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def forget(request: Request, response: Response, path: str) -> None:
    """With the page that showed it."""
    if _COOKIE in request.cookies:
        response.delete_cookie(_COOKIE, path=path, httponly=True, samesite="strict")
