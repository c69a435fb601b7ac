"""What a person sees while a job runs: a live bar in a terminal, a line now and then elsewhere."""

import time
from types import TracebackType
from typing import Final, Self

from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from app.core.console import say, stderr
from app.core.i18n import gettext as _
from app.jobs.events import EventKind, status_words
from app.jobs.schemas import EventOut

LINE_SECONDS: Final = 5.0


def phase_name(phase: str) -> str:
    """A phase, or `queued`, in the reader's language."""
    return _(status_words(phase))


def figures(event: EventOut) -> str:
    """The numbers of an event in one short text."""
    parts = []
    for key, label in (("loss", _("loss")), ("eval_loss", _("held-out loss"))):
        value = event.payload.get(key)
        if isinstance(value, int | float):
            parts.append(f"{label} {value:.4f}")
    return " · ".join(parts)


class JobProgress:
    """Shows the events of one job. Use as a context; call it with each event."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._live: Progress | None = None
        self._task: TaskID | None = None
        self._phase = ""
        self._figures = ""
        self._last_line = 0.0
        self._said: set[str] = set()

    def __enter__(self) -> Self:
        if stderr().is_terminal:
            self._live = Progress(
                SpinnerColumn(),
                TextColumn("[bold]{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
                console=stderr(),
                transient=False,
            )
            self._live.start()
            self._task = self._live.add_task(escape(self.title), total=None, note="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            if kind is None and self._task is not None:
                task = self._live.tasks[0]
                total = task.total or 1
                self._live.update(self._task, total=total, completed=total)
            self._live.stop()

    def __call__(self, event: EventOut) -> None:
        """Show one event."""
        kind = event.kind
        if kind == EventKind.PHASE:
            self._phase = phase_name(event.payload["phase"])
            self._figures = "" if self._figures.endswith("%") else self._figures
            self._show(force=True)
        elif kind == EventKind.STATE and event.payload["state"] == "queued":
            self._phase = phase_name("queued")
            self._show(force=True)
        elif kind == EventKind.RESTORED:
            self._go_back(event.payload["step"])
        elif kind == EventKind.PROGRESS:
            self._advance(event)
        elif kind in {EventKind.METRIC, EventKind.EVAL}:
            self._figures = figures(event) or self._figures
            self._show(force=kind == EventKind.EVAL, step=event.payload.get("step"))
        elif kind == EventKind.LOG and event.payload.get("level") in {"warning", "error"}:
            say(str(event.payload.get("message", "")))

    def _go_back(self, step: int) -> None:
        """A later attempt goes on after that step: figures of the lost one are true no more."""
        self._figures = ""
        if self._live is not None and self._task is not None:
            self._live.update(self._task, completed=step)
        self._show(force=True, step=step)

    def _advance(self, event: EventOut) -> None:
        if self._live is not None and self._task is not None:
            self._live.update(
                self._task, completed=event.payload.get("step", 0), total=event.payload.get("total_steps")
            )
        elif not self._figures or self._figures.endswith("%"):
            # No metrics tell how far it is.
            step, total = event.payload.get("step", 0), event.payload.get("total_steps") or 1
            self._figures = f"{100 * step // total} %"
            self._show(force=False)

    def _show(self, *, force: bool, step: int | None = None) -> None:
        note = " · ".join(part for part in (self._phase, self._figures) if part)
        if self._live is not None and self._task is not None:
            self._live.update(self._task, note=escape(note))
            return
        now = time.monotonic()
        # Training alternates between its phases: each is worth a line once.
        force = force and (step is not None or self._phase not in self._said)
        self._said.add(self._phase)
        if force or now - self._last_line > LINE_SECONDS:
            self._last_line = now
            at = "" if step is None else _("step %(step)d: ") % {"step": step}
            say(f"{self.title}: {at}{note}")
