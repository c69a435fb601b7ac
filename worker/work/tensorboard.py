"""A run's curves as TensorBoard's event files, whatever trains it: an Emit that writes down what goes through it.

It decides nothing: a disk that takes no more of it is told once, and the run goes on. An attempt that comes after others
takes their files along at once, so that they are the run's even where it measures nothing itself, and marks from which step
on they do not count any more.
"""

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog

from app.jobs.events import Emit, EventKind
from app.recipes.config import TrainingConfig
from app.recipes.fields import display
from app.runs.figures import FIGURE_KINDS, figures_of
from app.runs.folder_names import TENSORBOARD
from app.runs.work import TrainInput
from app.sentences import N_
from worker.work.protocol import log

_FILES: Final = "events.out.tfevents.*"
_NO_MORE: Final = N_(
    "TensorBoard's event file cannot be written any more (%(reason)s); the run goes on without it."
)


class EventFiles:
    """Passes every event on to `emit`; those that have figures are written below `output_dir` too. Use it in a `with` block."""

    def __init__(self, emit: Emit, output_dir: Path, job: TrainInput) -> None:
        self._emit, self._folder, self._job = emit, output_dir / TENSORBOARD, job
        self._writer: EventsWriter | None = None
        # Files of attempts before this one.
        self._earlier = 0
        self._gave_up = False

    def __call__(self, kind: EventKind, /, **payload: Any) -> None:
        self._emit(kind, **payload)  # type: ignore[call-overload]  # the payload is the kind's own
        if kind == EventKind.RESTORED and self._earlier:
            # At once: this attempt may measure nothing itself.
            self._keep(int(payload["step"]) + 1, {})
        elif kind in FIGURE_KINDS:
            self._keep(int(payload["step"]), figures_of(kind, payload))

    def __enter__(self) -> Self:
        try:
            self._earlier = self._take_along()
        except OSError as error:
            self._give_up(error)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            try:
                self._writer.close()
            except OSError as failed:
                self._give_up(failed)

    def _keep(self, step: int, figures: Mapping[str, float]) -> None:
        if self._gave_up:
            return
        try:
            writer = self._writer or self._begin(step)
            for tag, value in figures.items():
                told = summary.scalar(tag, value)
                writer.write_event(Event(wall_time=time.time(), step=step, summary=told))
            # At once: a process that is killed takes with it what it had not handed to the disk.
            writer.flush()
        except OSError as error:
            self._give_up(error)

    def _begin(self, step: int) -> EventsWriter:
        """The file, once there is something to write; what earlier attempts wrote from `step` on is taken back."""
        self._folder.mkdir(parents=True, exist_ok=True)
        writer = EventsWriter(str(self._folder / "events"), f".{self._earlier}")
        self._writer = writer
        if self._earlier:
            started = SessionLog(status=SessionLog.START)
            writer.write_event(Event(wall_time=time.time(), step=step, session_log=started))
        else:
            for part in summary.hparams(_hyperparameters(self._job.config), {"eval/loss": 0.0}):
                writer.write_event(Event(wall_time=time.time(), step=0, summary=part))
        return writer

    def _take_along(self) -> int:
        """Copies the files of the newest attempt that has any, which has those before it; how many these are. All of them or none:
        the next attempt takes what this one has.
        """
        if self._job.resume_from is None:
            return 0
        attempts = [
            folder
            for folder in Path(self._job.resume_from).glob(f"*/{TENSORBOARD}")
            if folder != self._folder and any(folder.glob(_FILES))
        ]
        if not attempts:
            return 0
        newest = max(attempts, key=lambda folder: int(folder.parent.name))
        files = sorted(newest.glob(_FILES))
        partial = self._folder.with_name(f".partial-{TENSORBOARD}")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for file in files:
            shutil.copyfile(file, partial / file.name)
        partial.rename(self._folder)
        return len(files)

    def _give_up(self, error: OSError) -> None:
        self._gave_up = True
        log(self._emit, "warning", _NO_MORE, reason=error.strerror or type(error).__name__)


def _hyperparameters(config: TrainingConfig) -> dict[str, bool | float | str]:
    """Every field of the config; lists as a person would type them."""
    values = config.to_json()
    return {name: display(value) if isinstance(value, list) else value for name, value in values.items()}
