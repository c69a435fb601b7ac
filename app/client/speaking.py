"""Speaking to one server: the connection, the token, answers read as the server's own models, failures as sentences."""

import copy
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from app.accounts.first_run import read_local_token
from app.core.addresses import is_loopback
from app.core.console import CommandFailed, say
from app.core.i18n import get_locale
from app.core.i18n import gettext as _
from app.core.i18n import say as translated
from app.core.settings import Settings
from app.invalid import wrong_fields

Answer = TypeVar("Answer", bound=BaseModel)
TOKEN_VARIABLE: Final = "SFT_STUDIO_TOKEN"  # noqa: S105 - the name, not the token
CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 120.0
# A server that is restarted, updated and migrated is back within this time.
PATIENCE_SECONDS: Final = 300.0
_AGAIN_SECONDS: Final = 0.7
# Answers that break off one after the other without a byte more: it is not a restart that ends them.
_BARREN: Final = 5
# What a proxy says while the server behind it restarts, and the server while its database does.
_AWAY: Final = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})


class ServerUnreachable(CommandFailed):
    """Nobody answers at the address now; trying again may help."""


class ServerNotThere(ServerUnreachable):
    """Nobody listens at the address: what was asked has reached nobody."""


class ServerRefused(CommandFailed):
    """The server said no. `status` and `body` are its answer."""

    def __init__(self, message: str, *, status: int, body: Any = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = body


@dataclass
class _SoFar:
    """What came of a download: bytes, in so many answers."""

    bytes: int = 0
    answers: int = 0


class Connection:
    """Speaks to one server with one token."""

    def __init__(self, url: str, token: str, *, transport: httpx.BaseTransport | None = None) -> None:
        self.url = url.rstrip("/")
        try:
            parsed = httpx.URL(self.url)
        except httpx.InvalidURL as error:
            raise CommandFailed(_bad_url(url)) from error
        if parsed.scheme not in {"http", "https"} or not parsed.host:
            raise CommandFailed(_bad_url(url))
        headers = {"Accept": "application/json", "Accept-Language": get_locale()}
        token = token.strip()
        if not (token.isascii() and token.isprintable()):
            # Copied with what stood around it; no header can hold it.
            raise CommandFailed(_unknown_token(self.url))
        if token:
            headers["Authorization"] = f"Bearer {token}"
        here = is_loopback(parsed.host)
        self._http = httpx.Client(
            base_url=self.url,
            headers=headers,
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            transport=transport,
            # A proxy cannot reach this machine's own loopback address.
            trust_env=not here,
            # Nothing is encrypted there: reading every certificate that the machine trusts takes a tenth of a command's time.
            verify=not (here and parsed.scheme == "http"),
        )
        self._is_patient = False

    @classmethod
    def from_settings(cls, settings: Settings, url: str = "") -> Self:
        """For the named server, else the local one. The local token never leaves this machine."""
        url = url or f"http://127.0.0.1:{settings.port}"
        host = httpx.URL(url).host if "://" in url else ""
        token = os.environ.get(TOKEN_VARIABLE, "")
        if not token and is_loopback(host):
            token = read_local_token(settings.data_dir)
        return cls(url, token)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def be_patient(self) -> None:
        """From now on wait through a restart of the server, which answered before: for commands that wait for work."""
        self._is_patient = True

    def page(self, path: str) -> str:
        """Address of a page for a browser."""
        return f"{self.url}{path}"

    def is_up(self) -> bool:
        """Whether the server answers and reaches its database."""
        request = self._http.build_request("GET", "/healthz")
        # A token counts below /api only and is refused elsewhere.
        request.headers.pop("Authorization", None)
        try:
            return self._http.send(request).status_code == HTTPStatus.OK
        except httpx.HTTPError:
            return False

    def _one(self, shape: type[Answer], method: str, path: str, **options: Any) -> Answer:
        return self.understood(shape, self._ask(method, path, **options))

    def _all(self, shape: type[Answer], method: str, path: str, **options: Any) -> list[Answer]:
        answer = self._ask(method, path, **options)
        if not isinstance(answer, list):
            raise CommandFailed(self._differing_text(_("%(field)s must be a list.") % {"field": "JSON"}))
        return [self.understood(shape, item) for item in answer]

    def understood(self, shape: type[Answer], answer: Any) -> Answer:
        """The answer as the server's own model. A newer server's further fields are passed over."""
        try:
            return read_answer(shape, answer)
        except ValidationError as error:
            fault = translated(wrong_fields(error.errors())[0].sentence)
            raise CommandFailed(self._differing_text(fault)) from error

    def _ask(self, method: str, path: str, *, repeatable: bool = False, **options: Any) -> Any:
        """`repeatable`: asked twice it does no more than once, as every question that only reads."""

        def ask() -> Any:
            with self._telling():
                response = self._http.request(method, path, **options)
            return self._read(response)

        return self._through_restarts(ask, repeatable=repeatable or method == "GET")

    def _text(self, path: str) -> str:
        """What is given as text."""
        with self._telling():
            response = self._http.get(path)
        if not response.is_success:
            self._read(response)
        return response.text

    def _download(
        self, path: str, write: Callable[[bytes], object], *, params: dict[str, str] | None = None
    ) -> None:
        """The bytes of an answer as they come. One that breaks off is gone on with where it was."""
        so_far = _SoFar()

        def ask() -> None:
            headers = {"Range": f"bytes={so_far.bytes}-"} if so_far.bytes else {}
            with self._telling(), self._http.stream("GET", path, params=params, headers=headers) as response:
                if not response.is_success:
                    response.read()
                    self._read(response)
                so_far.answers += 1
                # What stands between may know no parts, and send all of it again.
                known = 0 if response.status_code == HTTPStatus.PARTIAL_CONTENT else so_far.bytes
                for chunk in response.iter_raw():
                    new = chunk[known:]
                    known -= min(known, len(chunk))
                    write(new)
                    so_far.bytes += len(new)

        self._through_restarts(ask, repeatable=True, so_far=so_far)

    def _through_restarts(
        self, ask: Callable[[], Any], *, repeatable: bool, so_far: "_SoFar | None" = None
    ) -> Any:
        """Each step forward that `so_far` knows of is a new beginning of the patience."""
        deadline, before, barren = None, _SoFar(), 0
        so_far = so_far or _SoFar()
        while True:
            try:
                return ask()
            except (ServerUnreachable, ServerRefused) as error:
                now = time.monotonic()
                if so_far.bytes > before.bytes:
                    deadline, barren = None, 0
                elif so_far.answers > before.answers:
                    barren += 1
                before = replace(so_far)
                if not self._is_patient or not _may_be_back(error, repeatable=repeatable) or barren > _BARREN:
                    raise
                if deadline is None:
                    deadline = now + PATIENCE_SECONDS
                    say(_("The connection to the server is lost; trying again. The work goes on by itself."))
                elif now > deadline:
                    raise
                time.sleep(_AGAIN_SECONDS)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Turns what goes wrong on the way into sentences."""
        try:
            yield
        except httpx.TimeoutException as error:
            raise ServerUnreachable(
                _("The server at %(url)s did not answer in time. Try again, or look at its log.")
                % {"url": self.url}
            ) from error
        except httpx.ConnectError as error:
            raise ServerNotThere(
                _(
                    "No server answers at %(url)s. Start it with “sft-studio serve”, or name another with "
                    "--url or SFT_STUDIO_URL."
                )
                % {"url": self.url}
            ) from error
        except httpx.HTTPError as error:
            raise ServerUnreachable(
                _("The connection to %(url)s broke: %(reason)s. Try again.")
                % {"url": self.url, "reason": error or type(error).__name__}
            ) from error

    def _read(self, response: httpx.Response) -> Any:
        is_json = "json" in response.headers.get("content-type", "")
        body = None
        if is_json:
            try:
                body = response.json()
            except ValueError:
                is_json = False
        status = response.status_code
        if status == HTTPStatus.NO_CONTENT or (response.is_success and is_json):
            return body
        if status == HTTPStatus.UNAUTHORIZED:
            raise ServerRefused(self._token_text(body), status=status, body=body)
        detail = body.get("detail") if isinstance(body, dict) else None
        if isinstance(detail, str) and detail:
            raise ServerRefused(detail, status=status, body=body)
        if is_json and not response.is_success:
            text = _("The server at %(url)s answered with status %(status)d.")
            raise ServerRefused(text % {"url": self.url, "status": status}, status=status, body=body)
        if status == HTTPStatus.MISDIRECTED_REQUEST:
            raise ServerRefused(response.text.strip(), status=status)
        raise ServerRefused(self._stranger_text(status), status=status)

    def _stranger_text(self, status: int) -> str:
        text = _(
            "What answers at %(url)s is not SFT Studio (status %(status)d). Check --url or SFT_STUDIO_URL."
        )
        return text % {"url": self.url, "status": status}

    def _differing_text(self, fault: str) -> str:
        text = _(
            "The server at %(url)s answers otherwise than this program expects: %(fault)s Their versions seem to "
            "differ; install the server's version of sft-studio."
        )
        return text % {"url": self.url, "fault": fault}

    def _token_text(self, body: Any) -> str:
        if "Authorization" not in self._http.headers:
            return _(
                "The server at %(url)s wants a token. Make one on its account page and set SFT_STUDIO_TOKEN."
            ) % {"url": self.url}
        # What became of a token that it knows, it says itself.
        reason = body.get("detail") if isinstance(body, dict) else None
        if not isinstance(reason, str) or not reason:
            return _unknown_token(self.url)
        text = _(
            "The server at %(url)s refuses the token: %(reason)s Set SFT_STUDIO_TOKEN to one that holds, or for a server on this machine "
            "SFT_STUDIO_DATA to its data folder."
        )
        return text % {"url": self.url, "reason": reason}


def _unknown_token(url: str) -> str:
    return _(
        "The server at %(url)s does not know this token. Set SFT_STUDIO_TOKEN to one from its account page, or "
        "for a server on this machine SFT_STUDIO_DATA to its data folder."
    ) % {"url": url}


def once(key: str) -> dict[str, bytes]:
    """The header by which a start that is asked for again is known, in UTF-8: keys are made of names of branches too. Raises
    CommandFailed for a key that no header can hold."""
    if not key.isprintable():
        raise CommandFailed(_("The idempotency key has to be one line of characters that can be seen."))
    return {"Idempotency-Key": key.strip().encode("utf-8", "surrogateescape")}


def _may_be_back(error: ServerUnreachable | ServerRefused, *, repeatable: bool) -> bool:
    """Whether the same question may be asked again, and have an answer then."""
    if isinstance(error, ServerRefused):
        return repeatable and error.status in _AWAY
    return repeatable or isinstance(error, ServerNotThere)


def read_answer(shape: type[Answer], answer: Any) -> Answer:
    """The answer as one of the server's models; what they do not know is left out, at any depth.

    Raises pydantic's ValidationError for what is missing or of another kind.
    """
    try:
        return shape.model_validate(answer)
    except ValidationError as error:
        unknown = [wrong["loc"] for wrong in error.errors() if wrong["type"] == "extra_forbidden"]
        if not unknown:
            raise
    known = copy.deepcopy(answer)
    for *way, name in unknown:
        place = known
        for step in way:
            place = place[step]
        del place[name]
    return shape.model_validate(known)


def _bad_url(url: str) -> str:
    return _("“%(url)s” is not an address. Write it like http://127.0.0.1:8000.") % {"url": url}
