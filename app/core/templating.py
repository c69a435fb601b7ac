"""Jinja2 pages: translated, escaped, strict about undefined names; assets by content hash, icons inlined."""

import hashlib
import json
from collections.abc import Mapping
from functools import cache, lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from app.core import i18n
from app.core.formatting import FILTERS
from app.core.i18n import gap, say
from app.core.pages_above import is_opened, page_above
from app.files import shipped
from app.sentences import grouped

TEMPLATES_DIR: Final = shipped("templates")
STATIC_DIR: Final = shipped("static")
ICONS_DIR: Final = STATIC_DIR / "vendor" / "lucide-1.62.0"


@lru_cache(maxsize=1024)
def _asset_hash(path: Path, _modified: float) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def asset(name: str) -> str:
    """URL of a static file that changes with its content, so browsers may keep it for ever."""
    path = STATIC_DIR / name
    return f"/static/{name}?v={_asset_hash(path, path.stat().st_mtime)}"


@cache
def _icon_svg(name: str) -> str:
    text = (ICONS_DIR / f"{name}.svg").read_text(encoding="utf-8")
    return text[text.index("<svg") :].replace("<svg", '<svg focusable="false"', 1).strip()


def icon(name: str, label: str | None = None) -> Markup:
    """An inlined icon: decoration, unless `label` gives it a name for screen readers."""
    attributes = f'role="img" aria-label="{escape(label)}"' if label else 'aria-hidden="true"'
    svg = _icon_svg(name).replace('aria-hidden="true"', "")
    return Markup(svg.replace("<svg", f"<svg {attributes}", 1))  # noqa: S704 - our own vendored file


def _gettext(message: str, /, **values: Any) -> Markup:
    """`_("…", name=value)` in pages: values are escaped, amounts written in groups of digits."""
    template, filled = grouped(i18n.gettext(message), values)
    return Markup(template) % filled  # noqa: S704 - our own words; what fills them is escaped


def _ngettext(singular: str, plural: str, num: int, /, **values: Any) -> Markup:
    """The same of something counted, which is `num` in the words."""
    template, filled = grouped(i18n.ngettext(singular, plural, num), {"num": num, **values})
    return Markup(template) % filled  # noqa: S704 - our own words; what fills them is escaped


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES_DIR),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        i18n.gettext, i18n.ngettext, newstyle=True
    )
    environment.globals.update(asset=asset, icon=icon, gettext=_gettext, ngettext=_ngettext, gap=gap)
    environment.filters.update(FILTERS, said=say)
    return environment


templates: Final = _environment()


def render(
    request: Request, name: str, context: Mapping[str, Any] | None = None, *, status: int = HTTPStatus.OK
) -> HTMLResponse:
    """Render a page or a fragment with the request's own names (user, locale, CSRF token, navigation).

    Whoever opens a fragment as a page is led to the one above it, which holds it.
    """
    if _is_fragment(name) and is_opened(request):
        return HTMLResponse(status_code=HTTPStatus.SEE_OTHER, headers={"Location": page_above(request)})
    template = templates.get_template(name)
    html = template.render({**request_context(request), **(context or {})})
    return HTMLResponse(html, status_code=status, headers={"Vary": "HX-Request, Cookie, Accept-Language"})


def _is_fragment(name: str) -> bool:
    return name.rpartition("/")[2].startswith("_")


def request_context(request: Request) -> dict[str, Any]:
    """Names every template may use."""
    actor = getattr(request.state, "actor", None)
    path = request.url.path
    nav = [
        {
            **item,
            "label": i18n.translate(item["label"], {}),
            "current": any(_is_current(path, href) for href in (item["href"], *item.get("also", ()))),
        }
        for item in request.app.state.nav
    ]
    return {
        "request": request,
        "current_user": actor,
        "may": getattr(request.state, "may", _nothing),
        "csrf_token": getattr(request.state, "csrf_token", ""),
        "locale": i18n.get_locale(),
        "theme": _theme(request),
        "nav": nav,
    }


def _nothing(_permission: str) -> bool:
    """What a stranger may do."""
    return False


def _is_current(path: str, href: str) -> bool:
    return path == href or (href != "/" and path.startswith(href + "/"))


def _theme(request: Request) -> str:
    theme = request.cookies.get("theme", "auto")
    return theme if theme in {"auto", "light", "dark"} else "auto"


def toast(
    message: str, *, kind: str = "success", undo_url: str | None = None, link_url: str | None = None
) -> dict[str, str]:
    """Response header that makes the page show a short notice, with a way back or to what it is about."""
    payload = {"toast": {"message": message, "kind": kind, "undo_url": undo_url, "link_url": link_url}}
    return {"HX-Trigger": json.dumps(payload)}


def is_htmx(request: Request) -> bool:
    """Whether htmx asks for a fragment."""
    return request.headers.get("HX-Request") == "true"


def see(path: str) -> Response:
    """On to another page after a plain form."""
    return RedirectResponse(path, status_code=303)


def go(request: Request, path: str) -> Response:
    """On to another page: a redirect, or the header that makes htmx do it."""
    if not is_htmx(request):
        return see(path)
    headers = {"HX-Redirect": path}
    if _is_place_of_same_page(path, request.headers.get("HX-Current-URL", "")):
        # A browser goes to a place of the page that it shows without asking for the page again.
        headers["HX-Refresh"] = "true"
    return Response(status_code=204, headers=headers)


def _is_place_of_same_page(path: str, shown: str) -> bool:
    there, here = urlsplit(path), urlsplit(shown)
    return bool(there.fragment) and (there.path, there.query) == (here.path, here.query)
