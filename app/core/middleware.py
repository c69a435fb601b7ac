"""ASGI middleware around every request: host check, body limit, locale, security headers."""

from http import HTTPStatus
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request, cookie_parser
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.i18n import gettext, negotiate, say, set_locale
from app.core.settings import Settings
from app.dialogue.limits import BODY_BYTES, spoken_size
from app.interchange.sentences.files import FILE_TOO_LARGE
from app.sentences import N_, Sentence

CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",  # Pico draws its form controls with data: images
        "style-src 'self'",
        "script-src 'self'",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
SECURITY_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]", "testserver"})
# What a form adds around an uploaded file.
_FORM_OVERHEAD_BYTES: Final = 1024 * 1024
_UNKNOWN: Final = 1 << 62
# More than any form for strangers needs: bodies are read before anybody is asked who they are.
STRANGERS_BYTES: Final = 1024 * 1024
_SIGN_IN: Final = N_("Sign in before you send a file.")
_BODY_TOO_LARGE: Final = N_(
    "The request is larger than %(limit)s, which is the most that one without a file may have."
)
HOST_REFUSED: Final = N_("This server does not answer to that host name. Add it to SFT_STUDIO_ALLOWED_HOSTS.")


# A browser that is cut off while sending shows a network error instead of the answer, so the rest is read and dropped.
_DRAIN_FACTOR: Final = 8


class BodyTooLarge(HTTPException):
    """The body went over the limit while being read. An HTTPException, since form parsers let nothing else through."""

    code: Final = FILE_TOO_LARGE.code


def _head_as_get(scope: Scope, receive: Receive, send: Send) -> tuple[Scope, Receive, Send]:
    """A HEAD request as the GET whose headers it asks for; the body stays here, and a stream ends at once."""
    answered = False

    async def receive_once() -> Message:
        return {"type": "http.disconnect"} if answered else await receive()

    async def send_headers(message: Message) -> None:
        nonlocal answered
        if message["type"] == "http.response.start":
            await send(message)
        elif not answered:
            answered = True
            await send({"type": "http.response.body", "body": b""})

    return {**scope, "method": "GET"}, receive_once, send_headers


class EdgeMiddleware:
    """One pure ASGI layer, so that streams stay streams."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.hosts = _LOOPBACK | {settings.host} | set(settings.allowed_hosts)
        self.any_host = "*" in settings.allowed_hosts
        self.max_upload = settings.max_upload_bytes
        self.max_body = min(BODY_BYTES, settings.max_upload_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        cookies = cookie_parser(headers.get("cookie", ""))
        set_locale(negotiate(cookies.get("locale"), headers.get("accept-language")))
        if not self.any_host and not self._host_allowed(headers.get("host", "")):
            await PlainTextResponse(gettext(HOST_REFUSED), status_code=421)(scope, receive, send)
            return
        length, is_form, limit = _length(headers), _is_form(headers), self.max_body
        if length > STRANGERS_BYTES:
            # What is read, or waits on the disk, before anybody can look at it: that is for people who are known.
            if await run_in_threadpool(scope["app"].state.knows, Request(scope)):
                limit = self.max_upload if is_form else self.max_body
            elif is_form or length != _UNKNOWN:
                await self._drain(receive)
                await self._answer(HTTPStatus.UNAUTHORIZED, gettext(_SIGN_IN), None, scope, receive, send)
                return
            else:
                limit = STRANGERS_BYTES
        too_large = _too_large_text(limit, is_form)
        if length > limit + _FORM_OVERHEAD_BYTES and length != _UNKNOWN:
            await self._drain(receive)
            await self._refuse_body(too_large, scope, receive, send)
            return
        if scope["method"] == "HEAD":
            scope, receive, send = _head_as_get(scope, receive, send)
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                out = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    out.setdefault(name, value)
                if not scope["path"].startswith("/static/"):
                    out.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            await self.app(scope, _limited(receive, limit, too_large), send_with_headers)
        except BodyTooLarge:
            if started:
                raise
            await self._refuse_body(too_large, scope, receive, send)

    def _host_allowed(self, host: str) -> bool:
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        return name.lower() in self.hosts

    async def _drain(self, receive: Receive) -> None:
        """Read what is still coming, up to a bound."""
        read = 0
        while read <= self.max_upload * _DRAIN_FACTOR:
            message = await receive()
            read += len(message.get("body", b""))
            if message["type"] != "http.request" or not message.get("more_body"):
                return

    async def _refuse_body(self, too_large: str, scope: Scope, receive: Receive, send: Send) -> None:
        await self._answer(413, too_large, FILE_TOO_LARGE.code, scope, receive, send)

    async def _answer(
        self, status: int, text: str, code: str | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        from app.core.responses import failure

        # A page is made of template files, which the event loop does not read.
        response = await run_in_threadpool(failure, Request(scope), status, text, code=code)
        await response(scope, receive, send)


def _length(headers: Headers) -> int:
    """What the body's header says of its length; without one it may be any. A server in front of this may let through what
    is no length; what comes is counted in any case."""
    if "chunked" in headers.get("transfer-encoding", ""):
        return _UNKNOWN
    length = headers.get("content-length") or "0"
    return int(length[:20]) if length.isascii() and length.isdigit() else 0


def _is_form(headers: Headers) -> bool:
    """Whether files may come in it, which wait on the disk; everything else is held in memory."""
    return headers.get("content-type", "").startswith("multipart/form-data")


def _limited(receive: Receive, limit: int, too_large: str) -> Receive:
    read = 0

    async def limited() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > limit + _FORM_OVERHEAD_BYTES:
            raise BodyTooLarge(413, too_large)
        return message

    return limited


def _too_large_text(limit: int, is_form: bool) -> str:
    template = FILE_TOO_LARGE.template if is_form else _BODY_TOO_LARGE
    return say(Sentence.of(template, limit=spoken_size(limit)))
