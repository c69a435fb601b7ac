"""What computes the steps of a run: told of the pass that its trial chose, and what was kept of an earlier choice.

Each way does the same mathematics, and each rounds otherwise: a later attempt, or the run made once more, gives the same numbers to the
last bit only with the same pieces.
"""

from typing import Any, Final, Literal

import torch

from app.jobs.events import Emit
from app.runs.result import AdapterCode, Pieces, TrainingPlan
from app.runs.work import TrainInput
from app.sentences import N_
from worker.work.protocol import log
from worker.work.training.attention import PACKED_ATTENTION, VARLEN_ATTENTION
from worker.work.training.forward import PackedPass, PlainPass
from worker.work.training.lora import fused_dropouts
from worker.work.training.weights import causal_model

Rows = Literal["varlen", "packed", "alone"]
ROWS: Final[dict[str, Rows]] = {VARLEN_ATTENTION: "varlen", PACKED_ATTENTION: "packed"}
_OTHERS: Final = N_(
    "Earlier the steps of this run were computed by %(before)s, which cannot be had here: now by %(now)s. Its numbers may differ "
    "from those of before by rounding."
)


def pieces_of(chosen: PackedPass | PlainPass) -> Pieces:
    """Looked up in the pass and its model, not in what was asked for."""
    rows: Rows = "alone"
    if isinstance(chosen, PackedPass):
        rows = ROWS[chosen.body.config._attn_implementation]
    return Pieces(
        device=next(chosen.model.parameters()).device.type,
        rows=rows,
        adapter=adapter_code(chosen.model),
        liger=_is_on_liger(causal_model(chosen.model)),
        prefixes="once" if isinstance(chosen, PackedPass) and chosen.shares_from else "each",
    )


def adapter_code(model: Any) -> AdapterCode | None:
    """Whose code the adapter's layers run in, those that have a plain form; None without an adapter."""
    if causal_model(model) is model:
        return None
    return "studio" if fused_dropouts(model) else "peft"


def _is_on_liger(model: Any) -> bool:
    forwards = (vars(module).get("forward") for module in model.modules())
    return any(str(getattr(one, "__module__", "")).startswith("liger_kernel") for one in forwards)


def pieces_before(job: TrainInput, *plans: TrainingPlan | None) -> Pieces | None:
    """Those of the first plan that there is, of an attempt of this run or of one that it goes on from, else of the run that this one
    repeats; None where the trial is free to choose.
    """
    plan = next((plan for plan in plans if plan is not None), None)
    return plan.pieces if plan is not None else job.pieces


def had_on(device: torch.device, kept: Pieces | None) -> Pieces | None:
    """What was kept, on the kind of device that it was chosen on; on another one the trial is free to choose."""
    return kept if kept is not None and kept.device == device.type else None


def tell_others(kept: Pieces | None, chosen: Pieces, emit: Emit) -> None:
    """Say so where what was kept could not be had, as on another kind of device."""
    if kept is not None and kept != chosen:
        log(emit, "warning", _OTHERS, before=_named(kept), now=_named(chosen))


def _named(pieces: Pieces) -> str:
    parts = [
        pieces.device,
        f"rows={pieces.rows}",
        f"adapter={pieces.adapter or '-'}",
        f"liger={str(pieces.liger).lower()}",
        f"prefixes={pieces.prefixes}",
    ]
    return ", ".join(parts)
