"""What the demo looks like: a live list of steps with the loss curve in a terminal, plain lines elsewhere."""

import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

import plotext
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from app.cli.progress import LINE_SECONDS, figures, phase_name
from app.core.console import say, stderr
from app.core.formatting import duration
from app.core.i18n import gettext as _
from app.jobs.events import EventKind
from app.jobs.schemas import EventOut

MAX_WIDTH: Final = 100
CHART_HEIGHT: Final = 14
MIN_ROWS: Final = 30
_TRAIN_PEN: Final = ("braille", "blue+")
_HELD_OUT_PEN: Final = ("circle", "orange")


@dataclass
class LossCurve:
    """Losses by step as they arrive."""

    train: list[tuple[int, float]] = field(default_factory=list)
    held_out: list[tuple[int, float]] = field(default_factory=list)

    def add(self, event: EventOut) -> None:
        """Take a `metric` or `eval` event."""
        step = event.payload.get("step", 0)
        for points, value in (
            (self.train, event.payload.get("loss")),
            (self.held_out, event.payload.get("eval_loss")),
        ):
            if isinstance(value, int | float):
                points.append((step, float(value)))

    def restore(self, step: int) -> None:
        """Take back what a lost attempt told of later steps."""
        for points in (self.train, self.held_out):
            points[:] = [point for point in points if point[0] <= step]

    def render(self, width: int, last_step: int = 0) -> Text:
        """The curve in characters, with room for the steps still to come."""
        figure = plotext.figure
        plotext.terminal.limit(False)  # the panel around it knows the terminal's width
        figure.clear()
        figure.theme("colorless")
        figure.plot_size(width, CHART_HEIGHT)
        figure.legend(active=False)  # it would cover the curve; `legend` says it above
        for points, (marker, colour) in ((self.train, _TRAIN_PEN), (self.held_out, _HELD_OUT_PEN)):
            if points:
                steps, values = [step for step, _value in points], [value for _step, value in points]
                pen = plotext.marker(marker, colour)
                figure.draw(figure.signal(steps, values, marker=pen).lines())
        if last_step:
            figure.ruler("x").lim(0, last_step)
        return Text.from_ansi(str(figure.build()))


def legend() -> Text:
    """What the two lines are."""
    return Text.from_markup(
        f"[bright_blue]⠒⠒[/] {escape(_('loss'))}   [yellow]●●[/] {escape(_('held-out loss'))}"
    )


@dataclass
class _Step:
    title: str
    state: str = "waiting"
    note: str = ""
    begun: float = 0.0
    seconds: float = 0.0


_MARKS: Final = {"waiting": "[dim]·[/]", "done": "[green]✓[/]", "failed": "[bold red]✗[/]"}


class DemoView:
    """The steps of the demo as they go. Use as a context."""

    def __init__(self, titles: list[str]) -> None:
        self._steps = [_Step(title) for title in titles]
        self._current: _Step | None = None
        self._live: Live | None = None
        self._spinner = Spinner("dots", style="cyan")
        self._last_line = 0.0
        self._forget_job()

    def _forget_job(self) -> None:
        self.curve = LossCurve()
        self._step, self._total = 0, 0
        self._phase = self._figures = self._left = ""
        self._phases_said: set[str] = set()

    def __enter__(self) -> Self:
        if stderr().is_terminal:
            self._live = Live(console=stderr(), get_renderable=self._render, refresh_per_second=6)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def begin(self, index: int) -> None:
        """The next step starts."""
        self._forget_job()
        self._current = step = self._steps[index]
        step.state, step.begun = "running", time.monotonic()
        if self._live is None:
            say(f"[{index + 1}/{len(self._steps)}] {step.title} …")

    def end(self, note: str, *, failed: bool = False) -> None:
        """The step is over."""
        assert self._current is not None
        step, self._current = self._current, None
        step.state, step.note = "failed" if failed else "done", note
        step.seconds = time.monotonic() - step.begun
        if self._live is None and not failed:
            if self.curve.train:
                stderr().print(legend(), self.curve.render(76), sep="\n")
            say(f"      {note} ({duration(step.seconds)})")

    def event(self, event: EventOut) -> None:
        """Something happened to the job of the current step."""
        kind = event.kind
        if kind == EventKind.PHASE:
            self._phase = phase_name(event.payload["phase"])
        elif kind == EventKind.PROGRESS:
            self._step, self._total = event.payload.get("step", 0), event.payload.get("total_steps", 0)
            left = event.payload.get("eta_seconds")
            self._left = _("%(time)s left") % {"time": duration(left)} if left else ""
        elif kind == EventKind.RESTORED:
            self._step, self._figures, self._left = event.payload["step"], "", ""
            self.curve.restore(self._step)
        elif kind in {EventKind.METRIC, EventKind.EVAL}:
            self.curve.add(event)
            self._figures = figures(event) or self._figures
        elif kind == EventKind.LOG and event.payload.get("level") in {"warning", "error"}:
            say(str(event.payload.get("message", "")))
        if self._live is None:
            # Training alternates between its phases: each is worth a line once.
            is_new = kind == EventKind.PHASE and self._phase not in self._phases_said
            self._phases_said.add(self._phase)
            self._line(force=is_new or kind == EventKind.EVAL)

    def _line(self, *, force: bool) -> None:
        now = time.monotonic()
        status = self._status()
        if status and (force or now - self._last_line > LINE_SECONDS):
            self._last_line = now
            say(f"      {status}")

    def _status(self) -> str:
        count = f"{self._step}/{self._total}" if self._total else ""
        return " · ".join(part for part in (self._phase, count, self._figures, self._left) if part)

    def _render(self) -> RenderableType:
        console = stderr()
        width = min(console.width, MAX_WIDTH)
        table = Table.grid(padding=(0, 1))
        table.add_column(width=2)
        table.add_column(no_wrap=True)
        table.add_column(ratio=1)
        for step in self._steps:
            table.add_row(*self._row(step))
        parts: list[RenderableType] = [table]
        if self._total and self._current is not None:
            bar = Table.grid()
            bar.add_row(ProgressBar(total=self._total, completed=self._step, width=width))
            parts.append(bar)
        if len(self.curve.train) > 1 and console.height >= MIN_ROWS:
            chart = self.curve.render(width - 4, self._total)
            parts.append(Panel(chart, title=legend(), title_align="left", width=width, border_style="dim"))
        return Group(*parts)

    def _row(self, step: _Step) -> tuple[RenderableType, str, str]:
        if step.state == "running":
            took = duration(time.monotonic() - step.begun)
            return (
                self._spinner,
                f"[bold]{escape(step.title)}[/]",
                f"[dim]{escape(self._status())} ({took})[/]",
            )
        style = "dim" if step.state == "waiting" else "default"
        note = f"{escape(step.note)} [dim]({duration(step.seconds)})[/]" if step.note else ""
        return _MARKS[step.state], f"[{style}]{escape(step.title)}[/]", note


def show_panel(lines: list[str], title: str) -> None:
    """A framed note; lines stay whole so that links can be copied."""
    console: Console = stderr()
    if console.is_terminal:
        body = Text("\n".join(lines), overflow="fold")
        widest = max(len(line) for line in lines) + 4
        console.print(
            Panel(body, title=title, border_style="cyan", width=min(console.width, max(widest, 60)))
        )
    else:
        for line in lines:
            say(line)
