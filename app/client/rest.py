"""A small client of the REST API. Every failure becomes a sentence that says what to do."""

import copy
import ipaddress
import json
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from app.accounts.first_run import read_local_token
from app.base_models.schemas import BaseModelOut
from app.conversations.schemas import ReviewManyOut
from app.core.console import CommandFailed
from app.core.i18n import get_locale
from app.core.i18n import gettext as _
from app.core.i18n import say as translated
from app.core.settings import Settings
from app.curation.schemas import DatasetOut
from app.erasure.schemas import HoldersOut
from app.evaluations.documents import JudgedRun
from app.evaluations.schemas import EvaluationOut, SuiteOut
from app.imports.schemas import ImportOut
from app.invalid import wrong_fields
from app.jobs.schemas import EventOut, EventsOut, JobOut
from app.mask_checks.schemas import MaskCheckOut
from app.runs.plan_schemas import PlanOut
from app.runs.schemas import RecipeOut, RunOut
from app.versions.schemas import FrozenOut, VersionOut

Answer = TypeVar("Answer", bound=BaseModel)
TOKEN_VARIABLE: Final = "SFT_STUDIO_TOKEN"  # noqa: S105 - the name, not the token
CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 120.0
# A large file is read line by line before there is an answer.
IMPORT_SECONDS: Final = 900.0


class ServerUnreachable(CommandFailed):
    """Nobody answers at the address now; trying again may help."""


class ServerRefused(CommandFailed):
    """The server said no. `status` and `body` are its answer."""

    def __init__(self, message: str, *, status: int, body: Any = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = body


def is_loopback(host: str) -> bool:
    """Whether the name means this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class StudioClient:
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
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._http = httpx.Client(
            base_url=self.url,
            headers=headers,
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            transport=transport,
            # A proxy cannot reach this machine's own loopback address.
            trust_env=not is_loopback(parsed.host),
        )

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

    def datasets(self, name: str | None = None) -> list[DatasetOut]:
        """All datasets, or those of this name."""
        params = {} if name is None else {"name": name}
        return self._all(DatasetOut, "GET", "/api/v1/datasets", params=params)

    def import_file(
        self,
        dataset: str,
        path: Path,
        *,
        format: str,
        skip_bad: bool,
        told: dict[str, str] | None = None,
        dataset_info: Path | None = None,
    ) -> ImportOut:
        """Send a file for the dataset of this name, which the server makes if something comes in. `told` and
        `dataset_info` tell of the tool that it comes from.

        A report that kept everything out comes as `ServerRefused` with the report as body.
        """
        data = {"dataset": dataset, "format": format, "skip_bad": json.dumps(skip_bad), **(told or {})}
        with path.open("rb") as file, ExitStack() as stack:
            files = {"file": (path.name, file)}
            if dataset_info:
                info = stack.enter_context(dataset_info.open("rb"))
                files["dataset_info"] = (dataset_info.name, info)
            return self._one(
                ImportOut,
                "POST",
                "/api/v1/imports",
                files=files,
                data=data,
                timeout=httpx.Timeout(IMPORT_SECONDS, connect=CONNECT_SECONDS),
            )

    def review_drafts(self, dataset_id: int, state: str) -> ReviewManyOut:
        """Review all of a dataset that nobody has decided on."""
        path = f"/api/v1/datasets/{dataset_id}/review"
        return self._one(ReviewManyOut, "POST", path, json={"state": state})

    def freeze(self, dataset_id: int) -> FrozenOut:
        """Freeze what is approved; unchanged content gives the existing version."""
        return self._one(FrozenOut, "POST", f"/api/v1/datasets/{dataset_id}/versions")

    def versions(self, dataset_id: int) -> list[VersionOut]:
        """Frozen versions of a dataset, newest first."""
        return self._all(VersionOut, "GET", f"/api/v1/datasets/{dataset_id}/versions")

    def export_version(
        self, version_id: int, params: dict[str, str], file: BinaryIO
    ) -> tuple[str, dict[str, Any]]:
        """Write a version in another tool's format to `file`; gives the file's name and the server's report."""
        path = f"/api/v1/versions/{version_id}/export"
        with self._telling(), self._http.stream("GET", path, params=params) as response:
            report = response.headers.get("x-export-report")
            name = re.search(r'filename="([^"]+)"', response.headers.get("content-disposition", ""))
            if not response.is_success or report is None or name is None:
                response.read()
                self._read(response)
                raise ServerRefused(self._stranger_text(response.status_code), status=response.status_code)
            for chunk in response.iter_bytes():
                file.write(chunk)
        return name.group(1), json.loads(report)

    def recipes(self) -> list[RecipeOut]:
        """The recipes that the server knows."""
        return self._all(RecipeOut, "GET", "/api/v1/recipes")

    def base_models(self) -> list[BaseModelOut]:
        """All base models."""
        return self._all(BaseModelOut, "GET", "/api/v1/base-models")

    def base_model(self, base_model_id: int) -> BaseModelOut:
        """One base model."""
        return self._one(BaseModelOut, "GET", f"/api/v1/base-models/{base_model_id}")

    def add_base_model(self, source: str, reference: str) -> BaseModelOut:
        """Register a model and begin to prepare it; registering it again is harmless."""
        body = {"source": source, "reference": reference}
        return self._one(BaseModelOut, "POST", "/api/v1/base-models", json=body)

    def request_mask_check(
        self, dataset_version_id: int, base_model_id: int, settings: dict[str, Any]
    ) -> MaskCheckOut:
        """Ask for a mask check; the same question finds the same check."""
        body = {
            "dataset_version_id": dataset_version_id,
            "base_model_id": base_model_id,
            "settings": settings,
        }
        return self._one(MaskCheckOut, "POST", "/api/v1/mask-checks", json=body)

    def mask_check(self, mask_check_id: int) -> MaskCheckOut:
        """One mask check."""
        return self._one(MaskCheckOut, "GET", f"/api/v1/mask-checks/{mask_check_id}")

    def runs(self, limit: int = 50) -> list[RunOut]:
        """Runs, newest first."""
        return self._all(RunOut, "GET", "/api/v1/runs", params={"limit": limit})

    def run(self, run_id: int) -> RunOut:
        """One run."""
        return self._one(RunOut, "GET", f"/api/v1/runs/{run_id}")

    def plan_run(self, body: dict[str, Any]) -> PlanOut:
        """What a run would be and take, and advice; starts nothing."""
        return self._one(PlanOut, "POST", "/api/v1/runs/plan", json=body)

    def start_run(self, body: dict[str, Any], idempotency_key: str) -> RunOut:
        """Start a run; the same key again gives the first run."""
        headers = {"Idempotency-Key": idempotency_key}
        return self._one(RunOut, "POST", "/api/v1/runs", json=body, headers=headers)

    def job(self, job_id: int) -> JobOut:
        """State of one job."""
        return self._one(JobOut, "GET", f"/api/v1/jobs/{job_id}")

    def events(self, job_id: int, after: int) -> list[EventOut]:
        """The next events of a job."""
        path = f"/api/v1/jobs/{job_id}/events/list"
        return self._one(EventsOut, "GET", path, params={"after": after}).events

    def suites(self) -> list[SuiteOut]:
        """The evaluation suites that the server knows."""
        return self._all(SuiteOut, "GET", "/api/v1/suites")

    def start_evaluation(self, run_id: int, suite: str) -> EvaluationOut:
        """Judge a run on a suite."""
        path = f"/api/v1/runs/{run_id}/evaluations"
        return self._one(EvaluationOut, "POST", path, json={"suite": suite})

    def evaluations(self, run_id: int | None = None) -> list[EvaluationOut]:
        """Evaluations, newest first; of one run, or all."""
        params = {} if run_id is None else {"run_id": run_id}
        return self._all(EvaluationOut, "GET", "/api/v1/evaluations", params=params)

    def verdict(self, run_id: int) -> JudgedRun | None:
        """Whether the run is better than its base model; None before anything was judged."""
        answer = self._ask("GET", f"/api/v1/runs/{run_id}/verdict")
        return None if answer is None else self.understood(JudgedRun, answer)

    def evaluation(self, evaluation_id: int) -> EvaluationOut:
        """One evaluation."""
        return self._one(EvaluationOut, "GET", f"/api/v1/evaluations/{evaluation_id}")

    def holders(self, conversation_id: int) -> HoldersOut:
        """What holds the conversation."""
        return self._one(HoldersOut, "GET", f"/api/v1/conversations/{conversation_id}/holders")

    def erase(self, conversation_id: int) -> HoldersOut:
        """Take the conversation out of all that holds it."""
        return self._one(HoldersOut, "POST", f"/api/v1/conversations/{conversation_id}/erase")

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

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        with self._telling():
            response = self._http.request(method, path, **options)
        return self._read(response)

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
            raise ServerUnreachable(
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
        if response.is_success and is_json:
            return body
        status = response.status_code
        if status == HTTPStatus.UNAUTHORIZED:
            raise ServerRefused(self._token_text(), status=status, body=body)
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

    def _token_text(self) -> str:
        if "Authorization" not in self._http.headers:
            return _(
                "The server at %(url)s wants a token. Make one on its account page and set SFT_STUDIO_TOKEN."
            ) % {"url": self.url}
        return _(
            "The server at %(url)s does not know this token. Set SFT_STUDIO_TOKEN to one from its account page, or "
            "for a server on this machine SFT_STUDIO_DATA to its data folder."
        ) % {"url": self.url}


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
