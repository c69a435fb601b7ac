"""The child's side of its attempt's record (`app/jobs/record.py`): an Emit that writes down what goes through it."""

from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from app.jobs.events import Emit, EventKind
from app.jobs.record import RECORD, RECORDED, line_of
from app.sentences import N_, plain_json
from worker.work.protocol import log

_NO_MORE: Final = N_(
    "What this run measures cannot be kept beside its log any more (%(reason)s): were its worker lost now, the curve might "
    "miss a second."
)


class Recording:
    """Passes every event on to `emit`, after those that are recorded were written below `output_dir`. Use it in a `with`
    block.
    """

    def __init__(self, emit: Emit, output_dir: Path) -> None:
        self._emit, self._path = emit, output_dir / RECORD
        self._file: IO[str] | None = None
        self._gave_up = False

    def __call__(self, kind: EventKind, /, **payload: Any) -> None:
        if kind in RECORDED and not self._gave_up:
            self._keep(line_of(EventKind(kind), plain_json(payload)))
        self._emit(kind, **payload)  # type: ignore[call-overload]  # the payload is the kind's own

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def _keep(self, line: str) -> None:
        try:
            if self._file is None:
                self._file = self._path.open("a", encoding="utf-8", errors="replace", buffering=1)
            self._file.write(line + "\n")
        except OSError as error:
            self._gave_up = True
            log(self._emit, "warning", _NO_MORE, reason=error.strerror or type(error).__name__)
