"""Runs told to Weights & Biases by its own package, in a process of its own for each run: whatever the package does there, it
cannot do to the worker. A run that is told again is found by its id there, which is our key.
"""

import importlib.util
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.core.settings import Settings
from app.files import python_path
from app.jobs.models import JobState
from app.line_process import LineProcess
from app.runs.tracking import TrackerName
from app.sentences import N_, Sentence
from app.trackers.tracker import Ending, Link, Lost, Point, RunTold, TrackerTrouble

# Beside the database: what is written offline, and what the package could not send yet.
FOLDER: Final = "wandb"
NOT_INSTALLED: Final = N_(
    "SFT_STUDIO_WANDB_PROJECT is set, and the package wandb is not installed here. Install it with “pip install "
    "'sft-studio[wandb]'”, or unset it; until then no run is told to Weights & Biases."
)
_REFUSED: Final = N_("Weights & Biases: %(reason)s")
_ENDED: Final = N_("The process that speaks to Weights & Biases ended (exit code %(exit)d): %(words)s")
_HANGS: Final = N_("Weights & Biases did not answer within %(seconds)d seconds.")
_NOT_STARTED: Final = N_("The process that speaks to Weights & Biases could not be started: %(reason)s")
_BEGIN_SECONDS: Final = 90.0
_TELL_SECONDS: Final = 30.0
# It waits until all that was told has gone out.
_END_SECONDS: Final = 100.0
_IDLE_SECONDS: Final = 600.0
_GRACE_SECONDS: Final = 20.0
_EXIT_CODES: Final = {JobState.SUCCEEDED: 0, JobState.FAILED: 1, JobState.CANCELLED: 255}
# The studio's own addresses and secrets are none of the package's business.
_NOT_HANDED_ON: Final = ("SFT_STUDIO_", "DATABASE_URL", "REDIS_URL")


def is_installed() -> bool:
    """Whether the package is there. Does not load it."""
    return importlib.util.find_spec("wandb") is not None


@dataclass
class _Conversation:
    process: LineProcess
    used_at: float


class WandbTracker:
    """One project. Used by one thread."""

    name = TrackerName.WANDB

    def __init__(self, settings: Settings) -> None:
        self._project, self._entity, self._mode = (
            settings.wandb_project,
            settings.wandb_entity,
            settings.wandb_mode,
        )
        self._folder = settings.data_dir / FOLDER
        self._open: dict[str, _Conversation] = {}

    def begin(self, told: RunTold, known: Link | None) -> Link:
        """A process for the run, which finds its own run by the key or makes it."""
        if not is_installed():
            raise TrackerTrouble(NOT_INSTALLED)
        self._drop(told.key)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._open[told.key] = _Conversation(self._start(), time.monotonic())
        answer = self._ask(
            told.key,
            {
                "do": "begin",
                "id": told.key,
                "project": self._project,
                "entity": self._entity or None,
                "mode": self._mode,
                # In which the package makes a folder of its name.
                "folder": str(self._folder.parent),
                "name": told.name,
                "config": {**told.params, **told.tags},
                "notes": told.note,
            },
            _BEGIN_SECONDS,
        )
        url = answer.get("url")
        return Link(told.key, url if isinstance(url, str) else known.url if known else None)

    def tell(self, told: RunTold, link: Link, points: Sequence[Point]) -> None:
        """The package takes them over, and sends them by and by."""
        self._go_on(told, link)
        lines = [[point.step, point.at.timestamp(), dict(point.figures)] for point in points]
        self._ask(told.key, {"do": "tell", "points": lines}, _TELL_SECONDS)

    def end(self, told: RunTold, link: Link, ending: Ending) -> Sentence | None:
        """Returns when all has gone out."""
        self._go_on(told, link)
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=".files-") as name:
            for file in ending.files:
                (Path(name) / file.name).write_bytes(file.content)
            message = {
                "do": "end",
                "files": name,
                "exit_code": _EXIT_CODES[ending.state],
                "summary": {"state": ending.state.value, "failure": ending.failure},
            }
            self._ask(told.key, message, _END_SECONDS)
        self._drop(told.key)
        return None

    def look(self) -> str:
        """Whether the package is there: only a run shows whether its key is right."""
        if not is_installed():
            raise TrackerTrouble(NOT_INSTALLED)
        return self._project

    def tidy(self) -> None:
        """A process of a run that waits or that another worker goes on with ends; it is begun again when there is news."""
        now = time.monotonic()
        for key in [key for key, one in self._open.items() if now - one.used_at > _IDLE_SECONDS]:
            self._drop(key)

    def close(self) -> None:
        """What was told has gone out by then, or lies in the folder."""
        for key in list(self._open):
            self._drop(key)

    def _go_on(self, told: RunTold, link: Link) -> None:
        if told.key not in self._open:
            self.begin(told, link)

    def _start(self) -> LineProcess:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(_NOT_HANDED_ON)
        }
        # Of what goes wrong in the package its makers are not told from here.
        environment |= {"PYTHONPATH": python_path(), "WANDB_ERROR_REPORTING": "false"}
        command = (sys.executable, "-m", "app.trackers.wandb_process")
        try:
            return LineProcess(command, environment=environment, folder=self._folder, keeps_words=True)
        except OSError as error:
            raise TrackerTrouble(_NOT_STARTED, reason=error.strerror or str(error)) from error

    def _drop(self, key: str) -> None:
        conversation = self._open.pop(key, None)
        if conversation is not None:
            conversation.process.hang_up(_GRACE_SECONDS)
            conversation.process.close()

    def _ask(self, key: str, asked: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Raises TrackerTrouble, and leaves no process behind that did not answer."""
        conversation = self._open[key]
        conversation.used_at = time.monotonic()
        try:
            answer = _answer_of(conversation.process, asked, seconds)
        except TrackerTrouble:
            self._open.pop(key).process.close()
            raise
        if reason := answer.get("error"):
            self._drop(key)
            raise TrackerTrouble(_REFUSED, reason=reason)
        return answer


def _answer_of(process: LineProcess, asked: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Raises Lost."""
    deadline = time.monotonic() + seconds
    try:
        process.send(asked, seconds)
    except TimeoutError:
        raise Lost(_HANGS, seconds=round(seconds)) from None
    while line := process.read_line(max(0.0, deadline - time.monotonic())):
        if (answer := _answer_in(line)) is not None:
            return answer
    if line is None:
        raise Lost(_HANGS, seconds=round(seconds))
    words = process.last_words()
    raise Lost(_ENDED, exit=process.kill(), words=words)


def _answer_in(line: bytes) -> dict[str, Any] | None:
    """What libraries print in between is passed over."""
    try:
        answer = json.loads(line)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) and "told" in answer else None
