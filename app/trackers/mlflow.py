"""Runs told to an MLflow server over its REST, version 2.0 of it: no package of MLflow's is needed.

Every call may be made twice: a run is found by the tag with its key, parameters and tags are set to the same, and a server
with a database keeps a metric once that has the same name, value, step and moment.
"""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from http.client import responses
from itertools import islice
from typing import Any, Final, TypeVar
from urllib.parse import quote

import httpx

from app.core.settings import Settings
from app.jobs.models import JobState
from app.runs.tracking import SETTINGS, TrackerName
from app.sentences import N_, Sentence
from app.trackers.tracker import Ending, Forgotten, Link, Point, RunTold, TrackerTrouble

# Of one request, by MLflow's documentation.
METRICS_AT_ONCE: Final = 1000
PARAMS_AT_ONCE: Final = 100
TAGS_AT_ONCE: Final = 100
_LONGEST_PARAM: Final = 6000
_LONGEST_TAG: Final = 5000
_API: Final = "api/2.0/mlflow"
_FILES: Final = "api/2.0/mlflow-artifacts/artifacts"
_PROXIED: Final = "mlflow-artifacts:"
_ANSWER_SECONDS: Final = 10.0
# An answer that is longer is none of MLflow's to these questions.
_LARGEST_ANSWER: Final = 4 * 2**20
_LONGEST_REASON: Final = 280
_STATUS: Final = {
    JobState.SUCCEEDED: "FINISHED",
    JobState.FAILED: "FAILED",
    JobState.CANCELLED: "KILLED",
}
_NO_ANSWER: Final = N_("MLflow at %(uri)s does not answer: %(reason)s")
_NOT_LET_IN: Final = N_(
    "MLflow at %(uri)s does not let us in (status %(status)d). Correct SFT_STUDIO_MLFLOW_TOKEN, or SFT_STUDIO_MLFLOW_USERNAME "
    "and SFT_STUDIO_MLFLOW_PASSWORD."
)
_ELSEWHERE: Final = N_(
    "MLflow at %(uri)s answers with another address (status %(status)d), which is not followed. Name that one in %(setting)s."
)
_REFUSED: Final = N_("MLflow at %(uri)s refused (status %(status)d): %(reason)s")
_NOT_MLFLOW: Final = N_("What answers at %(uri)s is not MLflow. Correct %(setting)s.")
_DELETED_EXPERIMENT: Final = N_(
    "The experiment “%(name)s” was deleted in MLflow. Restore it there, or name another in SFT_STUDIO_MLFLOW_EXPERIMENT."
)
_FORGOTTEN: Final = N_(
    "MLflow at %(uri)s does not know this run any more: its database is another one now, or was brought back from before. The run is "
    "told anew, from its beginning."
)
_NO_FILES: Final = N_(
    "Manifest and model card were not sent: this MLflow server passes no files on; its runs keep them at %(place)s."
)
T = TypeVar("T")


class Refused(TrackerTrouble):
    """The server understood and would not; `code` is its own word for why."""


class MlflowTracker:
    """One server and one experiment of it. Used by one thread."""

    name = TrackerName.MLFLOW

    def __init__(self, settings: Settings, time_limit_seconds: float = _ANSWER_SECONDS) -> None:
        self._uri, self._experiment = settings.mlflow_uri, settings.mlflow_experiment
        self._limit = time_limit_seconds
        self._headers = {"User-Agent": "SFT-Studio"}
        self._auth: httpx.Auth | None = None
        if token := settings.mlflow_token.get_secret_value():
            self._headers["Authorization"] = f"Bearer {token}"
        elif settings.mlflow_username:
            password = settings.mlflow_password.get_secret_value()
            self._auth = httpx.BasicAuth(settings.mlflow_username, password)
        self._client: httpx.Client | None = None

    def begin(self, told: RunTold, known: Link | None) -> Link:
        """The run with its parameters and tags."""
        if known is not None:
            return known
        experiment = self._experiment_id()
        run_id = self._find(experiment, told.key) or self._create(experiment, told)
        for some in _pieces(sorted(told.params.items()), PARAMS_AT_ONCE):
            params = [{"key": name, "value": value[:_LONGEST_PARAM]} for name, value in some]
            self._log(run_id, params=params)
        page = f"{self._uri}/#/experiments/{quote(experiment, safe='')}/runs/{quote(run_id, safe='')}"
        return Link(run_id, page)

    def tell(self, told: RunTold, link: Link, points: Sequence[Point]) -> None:
        """Each figure with its step and the moment it was measured, in as many requests as the limit asks for."""
        figures = [
            {"key": name, "value": value, "timestamp": round(point.at.timestamp() * 1000), "step": point.step}
            for point in points
            for name, value in point.figures.items()
        ]
        with self._known():
            for some in _pieces(figures, METRICS_AT_ONCE):
                self._log(link.external_id, metrics=some)

    def end(self, told: RunTold, link: Link, ending: Ending) -> Sentence | None:
        """The files first: who sees that a run has ended finds them there."""
        with self._known():
            return self._end(link, ending)

    def _end(self, link: Link, ending: Ending) -> Sentence | None:
        remark = self._send_files(link, ending)
        if ending.failure:
            tag = {"key": "sft_studio.failure", "value": ending.failure[:_LONGEST_TAG]}
            self._log(link.external_id, tags=[tag])
        body = {
            "run_id": link.external_id,
            "status": _STATUS[ending.state],
            "end_time": round(ending.at.timestamp() * 1000),
        }
        self._ask("POST", f"{_API}/runs/update", document=body)
        return remark

    def look(self) -> str:
        """The name of the experiment, which is made with the first run."""
        self._find_experiment()
        return self._experiment

    def tidy(self) -> None:
        """Connections that rest are closed by the client itself."""

    def close(self) -> None:
        """The connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _experiment_id(self) -> str:
        found = self._find_experiment()
        if found is None:
            try:
                made = self._ask("POST", f"{_API}/experiments/create", document={"name": self._experiment})
                return self._text(made, "experiment_id")
            except Refused as refused:
                # Another worker made it meanwhile.
                if refused.code != "RESOURCE_ALREADY_EXISTS":
                    raise
            found = self._find_experiment()
        if found is None:
            raise TrackerTrouble(_NOT_MLFLOW, uri=self._uri, setting=SETTINGS[self.name])
        return found

    def _find_experiment(self) -> str | None:
        try:
            params = {"experiment_name": self._experiment}
            found = self._ask("GET", f"{_API}/experiments/get-by-name", params=params)
        except Refused as refused:
            if refused.code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        experiment = found.get("experiment")
        if isinstance(experiment, dict) and experiment.get("lifecycle_stage") == "deleted":
            raise TrackerTrouble(_DELETED_EXPERIMENT, name=self._experiment)
        return self._text(experiment, "experiment_id")

    def _find(self, experiment: str, key: str) -> str | None:
        """A run that was made when the answer got lost."""
        body = {
            "experiment_ids": [experiment],
            "filter": f"tags.`sft_studio.key` = '{key}'",
            "max_results": 1,
        }
        runs = self._ask("POST", f"{_API}/runs/search", document=body).get("runs")
        return self._text(_of(runs[0], "info"), "run_id") if isinstance(runs, list) and runs else None

    def _create(self, experiment: str, told: RunTold) -> str:
        tags = {
            **told.tags,
            "mlflow.user": told.started_by,
            "mlflow.source.name": "SFT Studio",
            "mlflow.source.type": "JOB",
            "mlflow.note.content": told.note,
        }
        body = {
            "experiment_id": experiment,
            "run_name": told.name,
            "start_time": round(told.started_at.timestamp() * 1000),
            "tags": [{"key": name, "value": value[:_LONGEST_TAG]} for name, value in tags.items()],
        }
        return self._text(
            _of(_of(self._ask("POST", f"{_API}/runs/create", document=body), "run"), "info"), "run_id"
        )

    @contextmanager
    def _known(self) -> Iterator[None]:
        """Raises Forgotten where the server says that there is no such run."""
        try:
            yield
        except Refused as refused:
            if refused.code == "RESOURCE_DOES_NOT_EXIST":
                raise Forgotten(_FORGOTTEN, uri=self._uri) from refused
            raise

    def _log(self, run_id: str, **entities: object) -> None:
        self._ask("POST", f"{_API}/runs/log-batch", document={"run_id": run_id, **entities})

    def _send_files(self, link: Link, ending: Ending) -> Sentence | None:
        found = self._ask("GET", f"{_API}/runs/get", params={"run_id": link.external_id})
        place = self._text(_of(_of(found, "run"), "info"), "artifact_uri")
        if not place.startswith(_PROXIED):
            return Sentence.of(_NO_FILES, place=place)
        # With a host in it the address names a server of its own, which was not named to us.
        folder = place.removeprefix(_PROXIED)
        if folder.startswith("//") and not folder.startswith("///"):
            return Sentence.of(_NO_FILES, place=place)
        for file in ending.files:
            path = quote(f"{folder.strip('/')}/{file.name}")
            self._ask("PUT", f"{_FILES}/{path}", content=file.content)
        return None

    def _text(self, document: object, name: str) -> str:
        value = _of(document, name)
        if not isinstance(value, str) or not value:
            raise TrackerTrouble(_NOT_MLFLOW, uri=self._uri, setting=SETTINGS[self.name])
        return value

    def _ask(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        document: object = None,
        content: bytes | None = None,
    ) -> dict[str, Any]:
        """One question; an answer that is no JSON object is an empty one. Raises TrackerTrouble."""
        try:
            with (
                self._limited() as client,
                client.stream(
                    method, f"{self._uri}/{path}", params=params, json=document, content=content
                ) as answer,
            ):
                body = _read(answer)
        except (httpx.HTTPError, httpx.InvalidURL, RuntimeError, OSError, ValueError) as error:
            self.close()
            reason = str(error)[:_LONGEST_REASON] or type(error).__name__
            raise TrackerTrouble(_NO_ANSWER, uri=self._uri, reason=reason) from error
        self._judge(answer.status_code, body)
        return body if isinstance(body, dict) else {}

    @contextmanager
    def _limited(self) -> Iterator[httpx.Client]:
        """A server that answers byte by byte keeps each timeout and would still never end."""
        if self._client is None:
            self._client = httpx.Client(
                headers=self._headers, auth=self._auth, timeout=self._limit, follow_redirects=False
            )
        limit = threading.Timer(2 * self._limit, self._client.close)
        limit.daemon = True
        limit.start()
        try:
            yield self._client
        finally:
            limit.cancel()

    def _judge(self, status: int, body: object) -> None:
        if 200 <= status < 300:
            return
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise TrackerTrouble(_NOT_LET_IN, uri=self._uri, status=status)
        if status < 400:
            raise TrackerTrouble(_ELSEWHERE, uri=self._uri, status=status, setting=SETTINGS[self.name])
        code, reason = _of(body, "error_code"), _of(body, "message")
        if not isinstance(code, str):
            if status == HTTPStatus.NOT_FOUND:
                raise TrackerTrouble(_NOT_MLFLOW, uri=self._uri, setting=SETTINGS[self.name])
            reason = responses.get(status, "?")
            raise TrackerTrouble(_REFUSED, uri=self._uri, status=status, reason=reason)
        reason = str(reason or code)[:_LONGEST_REASON]
        raise Refused(_REFUSED, code=code, uri=self._uri, status=status, reason=reason)


def _read(answer: httpx.Response) -> Any:
    """The answer's JSON, None where it is none. Raises ValueError for one without end."""
    body = bytearray()
    for piece in answer.iter_bytes():
        body += piece
        if len(body) > _LARGEST_ANSWER:
            raise ValueError("too long an answer")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _of(document: object, name: str) -> object:
    return document.get(name) if isinstance(document, dict) else None


def _pieces(whole: Sequence[T], size: int) -> Iterator[list[T]]:
    rest = iter(whole)
    while some := list(islice(rest, size)):
        yield some
