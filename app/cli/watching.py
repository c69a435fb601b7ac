"""`watch`: a run that goes on, until its end; `curves` and `log`: what it has told so far."""

from itertools import chain
from typing import Annotated, Any, Final

import typer

from app.cli.connection import UrlOption, connect
from app.cli.options import JsonOption
from app.cli.training import wait_for_run
from app.client.waiting import last_seq
from app.core.console import print_json, print_table, say
from app.core.formatting import file_size
from app.core.i18n import gettext as _
from app.runs.schemas import CurvesOut

RunOption = Annotated[int, typer.Option("--run", help=_("Id of the run."))]
_MEMORY: Final = ("memory_bytes", "host_memory_bytes", "device_memory_bytes")
_SHARE: Final = ("cpu_utilization", "device_utilization")
_OF_A_STEP: Final = ("epoch", "loss", "learning_rate", "grad_norm", "tokens_per_second", *_MEMORY, *_SHARE)
_OF_A_MEASUREMENT: Final = ("eval_loss", "mixed_loss")


def watch(run: RunOption, url: UrlOption = "", as_json: JsonOption = False) -> None:
    """Command `watch`."""
    with connect(url) as client:
        seen = last_seq(client, client.run(run).job.id)
        # Asked after that: one that ends meanwhile tells its end after what was seen, or has ended here.
        found = client.run(run)
        say(f"{found.name} · {found.job.status}")
        # What was told before is in its curves; of one that has ended, all that it told is shown once more.
        after = 0 if found.job.state.is_final else seen
        found = wait_for_run(client, found, as_json=as_json, after=after)
    say(_("Run %(id)d has ended, and its model is kept.") % {"id": run})
    if as_json:
        print_json(found.model_dump(mode="json"))


def curves(run: RunOption, url: UrlOption = "", as_json: JsonOption = False) -> None:
    """Command `curves`."""
    with connect(url) as client:
        found = client.curves(run)
        page = client.page(f"/runs/{run}")
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    rows = _rows(found)
    there = [name for name in (*_OF_A_STEP, *_OF_A_MEASUREMENT) if any(name in row for row in rows.values())]
    heads = _heads()
    shown: list[list[object]] = [
        [step, *(_figure(name, row.get(name)) for name in there), "*" if step in found.checkpoints else ""]
        for step, row in sorted(rows.items())
    ]
    print_table([_("step"), *(heads[name] for name in there), _("Checkpoint")], shown)
    if found.whole > len(found.step):
        told = _("%(shown)d of %(count)d points, with the lowest and highest of each stretch.")
        say(told % {"shown": len(found.step), "count": found.whole})
    say(page)


def log(run: RunOption, url: UrlOption = "") -> None:
    """Command `log`."""
    with connect(url) as client:
        text = client.run_log(run)
    if text:
        typer.echo(text)
    else:
        say(_("The log of run %(id)d is empty.") % {"id": run})


def _rows(found: CurvesOut) -> dict[int, dict[str, float]]:
    """By step, what was measured there; what was not is not there."""
    rows: dict[int, dict[str, float]] = {}
    columns: dict[str, Any] = found.model_dump()
    told = chain(
        ((name, found.step) for name in _OF_A_STEP), ((name, found.eval_step) for name in _OF_A_MEASUREMENT)
    )
    for name, steps in told:
        for step, value in zip(steps, columns[name], strict=True):
            row = rows.setdefault(step, {})
            if value is not None:
                row[name] = value
    return rows


def _figure(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    if name in _MEMORY:
        return file_size(int(value))
    return f"{value:.0f} %" if name in _SHARE else f"{value:.4g}"


def _heads() -> dict[str, str]:
    """The columns in words."""
    return {
        "epoch": _("epoch"),
        "loss": _("Training loss"),
        "learning_rate": _("Learning rate"),
        "grad_norm": _("Gradient norm"),
        "tokens_per_second": _("Tokens a second"),
        "memory_bytes": _("Memory"),
        "host_memory_bytes": _("Memory of the machine"),
        "device_memory_bytes": _("Memory of the GPU"),
        "cpu_utilization": _("Load of the processors"),
        "device_utilization": _("Load of the GPU"),
        "eval_loss": _("Held-out loss"),
        "mixed_loss": _("Held-out loss of what is mixed in"),
    }
