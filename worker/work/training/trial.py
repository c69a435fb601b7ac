"""Before anything is trained: which pass this model takes, tried on the run's own conversations.

Architectures differ in what a row of several conversations does to them (sliding windows, recurrent layers, capped
logits, experts), and some do not look back only. This asks the model instead of a list of names: the plain pass must
be causal, and the packed one must keep conversations apart and give the plain one's loss and gradients.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from app.jobs.events import Emit
from app.masking import IGNORE_INDEX
from app.runs.result import Pieces
from app.sentences import N_, FailureCode
from worker.work.device_errors import breaks_off, device_failure
from worker.work.protocol import JobFailed, base_is_no_number, log
from worker.work.training.attention import VARLEN_ATTENTION, ways_to_attend
from worker.work.training.data import ArraySamples, Batch, Sample, on_device, pack
from worker.work.training.forward import PackedPass, PlainPass
from worker.work.training.liger import LigerKernels, liger_cross_entropy_sum
from worker.work.training.pieces import ROWS, had_on, pieces_of, tell_others
from worker.work.training.prefixes import LEAST_TOKENS
from worker.work.training.quicker import keep_quicker_layers, milliseconds, tell_speed
from worker.work.training.repeating import gives_up
from worker.work.training.weights import causal_model

# Largest relative difference of the mean loss that rounding explains (measured: 2e-7 and 1e-3).
LOSS_TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 1e-2}
# The same of all gradients together.
GRADIENT_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 1e-1}
# How far what must not move may move, beside what is free to: experts round otherwise in other company. Measured over all
# kinds of models: rounding 0 to 7e-7, a convolution over a border from 4e-3 on, attention that looks ahead from 4e-2 on.
APART = {torch.float32: 1e-4, torch.bfloat16: 2e-3}
CAUSAL = {torch.float32: 1e-4, torch.bfloat16: 2e-2}
# How far apart hidden states of one conversation may be in rows of other lengths, by other orders of rounding.
PLACES = {torch.float32: 1e-3, torch.bfloat16: 5e-2}
# The fewer tokens share their attention, the more a single one shows.
CAUSALITY_TOKENS = 8
# Logits of a trial exist all at once; a longer conversation is not tried for its length.
LONGEST_TRIAL_LOGITS = 2**29


@dataclass(frozen=True)
class Trial:
    """Batches that a run's passes are tried on: two conversations that are short, a long one beside a short, and two that begin
    alike, all of them trained; None where there is no conversation of several tokens."""

    short: Batch
    long: Batch
    alike: Batch | None = None

    @classmethod
    def of(cls, samples: ArraySamples, vocabulary: int, device: torch.device) -> "Trial":
        """Where one conversation leaks into another, it shows most in short ones; windows show in long ones."""
        order = sorted(range(len(samples)), key=lambda place: len(samples[place]["input_ids"]))
        trained = [place for place in order if bool((samples[place]["labels"][1:] != IGNORE_INDEX).any())]
        shortest = samples[trained[0]]
        second = samples[trained[min(1, len(trained) - 1)]]
        fitting = [
            place
            for place in trained
            if len(samples[place]["input_ids"]) * vocabulary <= LONGEST_TRIAL_LOGITS
        ]
        longest = samples[(fitting or trained)[-1 if fitting else 0]]
        batches = [pack([shortest, second]), pack([longest, shortest])]
        if len(second["input_ids"]) > 1:
            batches.append(pack(_that_begin_alike(second)))
        return cls(*(on_device(batch, device) for batch in batches))


def _that_begin_alike(sample: Sample) -> list[Sample]:
    """The conversation as it is and with its second half reversed; all of it is trained, so that what is shared is too."""
    ids = np.asarray(sample["input_ids"])
    half = len(ids) // 2
    other = np.concatenate([ids[:half], ids[half:][::-1]])
    return [{**sample, "input_ids": one, "labels": one} for one in (ids, other)]


TriedPass = PackedPass | PlainPass


def choose_pass(
    model: Any,
    trial: Trial,
    dtype: torch.dtype,
    emit: Emit,
    *,
    liger: bool = False,
    kept: Pieces | None = None,
    led: Callable[[Any], Any] = lambda found: found,
) -> TriedPass:
    """The packed pass where it does on `trial` what the plain one does, else the plain one, and says so; with Liger's kernels
    where they are asked for and do the same.

    What was `kept` from an earlier choice is taken again where it can be had; of what is measured, `led` gives the first process's
    finding to all. Raises JobFailed for a model that cannot be trained the plain way either.
    """
    model.eval()
    device = trial.short["input_ids"].device
    wanted = plain_figures(PlainPass(model), trial, dtype, emit)
    again = had_on(device, kept)
    chosen = _packed_or_plain(model, trial, wanted, dtype, emit, again)
    if device.type == "cuda":
        keep_quicker_layers(chosen, trial.long, emit, again.adapter if again else None, led)
    if isinstance(chosen, PackedPass) and (again is None or again.prefixes == "once"):
        chosen = with_shared_prefixes(chosen, trial, dtype, emit)
    if liger and (again is None or again.liger):
        chosen = with_liger(chosen, trial, wanted, dtype, emit)
    tell_others(kept, pieces_of(chosen), emit)
    return chosen


def with_liger(
    chosen: TriedPass, trial: Trial, wanted: "_Figures", dtype: torch.dtype, emit: Emit
) -> TriedPass:
    """The chosen pass on Liger's kernels, where it still does what the plain one did without them; and how quick it is."""
    own = milliseconds(chosen, trial.long)
    kernels = LigerKernels(causal_model(chosen.model))
    tried = chosen
    if isinstance(chosen, PackedPass):
        tried = PackedPass(chosen.model, liger_cross_entropy_sum, chosen.shares_from)
    try:
        kernels.put_on()
        reason = _difference(tried, trial, wanted, dtype)
    except BaseException:
        kernels.take_off()
        raise
    if reason is not None:
        kernels.take_off()
        log(
            emit,
            "warning",
            N_(
                "Liger's kernels do not compute what this model does (%(reason)s): the run goes on with the studio's own pieces, "
                "which do."
            ),
            reason=reason,
        )
        return chosen
    tell_speed(milliseconds(tried, trial.long), own, emit)
    return tried


def with_shared_prefixes(chosen: PackedPass, trial: Trial, dtype: torch.dtype, emit: Emit) -> PackedPass:
    """The chosen pass with beginnings that conversations share computed once, where that gives the same."""
    if trial.alike is None:
        return chosen
    try:
        found = _loss_and_gradients(PackedPass(chosen.model, shares_from=1), trial.alike)
        reason = _otherwise(found, _loss_and_gradients(chosen, trial.alike), dtype)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        if breaks_off(error):
            raise
        reason = _in_short(error)
    if reason is None:
        return PackedPass(chosen.model, shares_from=LEAST_TOKENS)
    log(
        emit,
        "info",
        N_("Beginnings that conversations share are computed anew in each of them (%(reason)s)."),
        reason=reason,
    )
    return chosen


def _packed_or_plain(
    model: Any, trial: Trial, wanted: "_Figures", dtype: torch.dtype, emit: Emit, kept: Pieces | None
) -> TriedPass:
    if kept is not None and kept.rows == "alone":
        return PlainPass(model)
    reason = None
    ways = ways_to_attend(trial.short["input_ids"].device, dtype)
    for attention in [way for way in ways if kept is None or ROWS[way] == kept.rows] or ways:
        with attention_in(model, attention) as takes_it:
            reason = _difference(PackedPass(model), trial, wanted, dtype) if takes_it else None
        if takes_it and reason is None:
            set_attention(model, attention)
            return PackedPass(model)
        if attention == VARLEN_ATTENTION and reason is not None:
            log(
                emit,
                "info",
                N_(
                    "torch's kernel for rows of several conversations is not used (%(reason)s): each conversation has a call "
                    "of its own."
                ),
                reason=reason,
            )
    if reason is None:
        log(
            emit,
            "info",
            N_("This model's architecture brings its own attention only: conversations train one at a time."),
        )
    else:
        log(
            emit,
            "warning",
            N_(
                "This model's architecture cannot train several conversations in one row (%(reason)s): "
                "they run one at a time, which is slower and gives the same result."
            ),
            reason=reason,
        )
    return PlainPass(model)


@dataclass(frozen=True)
class _Figures:
    """What a pass gives: the losses of some batches and the gradients of the first."""

    losses: tuple[float, ...]
    gradients: list[torch.Tensor | None]


def plain_figures(plain: PlainPass, trial: Trial, dtype: torch.dtype, emit: Emit) -> _Figures:
    """Raises JobFailed where the model as it was loaded cannot run, looks ahead, or knows no loss."""
    try:
        try:
            figures = _tried_plainly(plain, trial, dtype)
        except RuntimeError as error:
            if not gives_up(error, emit):
                raise
            figures = _tried_plainly(plain, trial, dtype)
    except (JobFailed, torch.OutOfMemoryError):
        raise
    except Exception as error:
        if device_failure(error):
            raise
        raise JobFailed(
            FailureCode.MODEL_UNUSABLE,
            N_(
                "A model of the kind %(kind)s cannot be trained here: choose another base model. (%(reason)s)"
            ),
            kind=plain.model.config.model_type,
            reason=_in_short(error),
        ) from error
    if not all(torch.isfinite(torch.tensor(figures.losses))):
        raise base_is_no_number()
    return figures


def _tried_plainly(plain: PlainPass, trial: Trial, dtype: torch.dtype) -> _Figures:
    require_causal(plain, trial.short, dtype)
    figures = _figures(plain, trial)
    require_no_memory(plain.model)
    return figures


def require_causal(plain: PlainPass, batch: Batch, dtype: torch.dtype) -> None:
    """Another last token may not move the logits before it. Raises JobFailed."""
    ids = batch["input_ids"][:, : min(batch["borders"][1], CAUSALITY_TOKENS)]
    if ids.shape[1] < 2:
        return
    other = ids.clone()
    other[0, -1] = ids[0, 0] if ids[0, -1] != ids[0, 0] else (ids[0, 0] + 1) % _vocabulary(plain.model)
    with torch.no_grad():
        moved = (plain.logits(ids) - plain.logits(other))[0].float().abs().amax(-1)
    # Written so that no number counts as moved.
    if not bool(moved[:-1].max() <= CAUSAL[dtype] * moved[-1]) and bool(torch.isfinite(moved).all()):
        raise JobFailed(
            FailureCode.MODEL_UNUSABLE,
            N_(
                "A model of the kind %(kind)s sees the tokens that it has to predict: it is no causal language model "
                "and cannot be trained here. Choose another base model."
            ),
            kind=plain.model.config.model_type,
        )


def require_no_memory(model: Any) -> None:
    """What a model keeps of one conversation may not reach into the next one's gradient. Raises JobFailed."""
    for module in model.modules():
        for value in vars(module).values():
            if isinstance(value, torch.Tensor) and value.grad_fn is not None:
                raise JobFailed(
                    FailureCode.MODEL_UNUSABLE,
                    N_(
                        "A model of the kind %(kind)s keeps its state from one conversation to the next and cannot be "
                        "trained here. Choose another base model."
                    ),
                    kind=model.config.model_type,
                )


def _vocabulary(model: Any) -> int:
    return int(model.get_input_embeddings().weight.shape[0])


def _difference(tried: TriedPass, trial: Trial, wanted: _Figures, dtype: torch.dtype) -> str | None:
    """What a pass does otherwise than the plain one did; None where it is the same."""
    try:
        if isinstance(tried, PackedPass) and not _keeps_apart(tried, trial.short, dtype):
            return "conversations reach each other"
        if isinstance(tried, PackedPass) and not _keeps_places(tried, trial.short, dtype):
            return "places are not counted anew"
        found = _figures(tried, trial)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        # Whatever a model says to a row, the plain way is open.
        if breaks_off(error):
            raise
        return _in_short(error)
    return _otherwise(found, wanted, dtype)


def _otherwise(found: _Figures, wanted: _Figures, dtype: torch.dtype) -> str | None:
    for own, other in zip(found.losses, wanted.losses, strict=True):
        if not abs(own - other) <= LOSS_TOLERANCE[dtype] * max(abs(other), 1e-6):
            return "the losses differ"
    if not _same_gradients(found.gradients, wanted.gradients, dtype):
        return "the gradients differ"
    return None


def _keeps_apart(packed: PackedPass, batch: Batch, dtype: torch.dtype) -> bool:
    """Other tokens in the first conversation may not move what the second one comes to."""
    border = batch["borders"][1]
    ids = batch["input_ids"].clone()
    ids[0, :border] = ids[0, :border].roll(1)
    ids[0, 0] = (ids[0, 0] + 1) % _vocabulary(packed.body)
    with torch.no_grad():
        moved = (packed.hidden(batch) - packed.hidden({**batch, "input_ids": ids}))[0].float().abs().amax(-1)
    return bool(moved[border:].max() <= APART[dtype] * moved[:border].max())


def _keeps_places(packed: PackedPass, batch: Batch, dtype: torch.dtype) -> bool:
    """The second conversation comes to the same as alone in a row, where it would be if places were counted anew."""
    border = batch["borders"][1]
    rows = {name: batch[name][:, border:] for name in ("input_ids", "position_ids")}
    with torch.no_grad():
        alone = packed.hidden({**rows, "borders": [0, rows["input_ids"].shape[1]]})[0].float()
        beside = packed.hidden(batch)[0, border:].float()
    return bool((alone - beside).norm() <= PLACES[dtype] * alone.norm())


def _figures(loss_pass: TriedPass, trial: Trial) -> _Figures:
    with torch.no_grad():
        long = float(loss_pass(trial.long))
    short = _loss_and_gradients(loss_pass, trial.short)
    return _Figures((*short.losses, long), short.gradients)


def _loss_and_gradients(loss_pass: TriedPass, batch: Batch) -> _Figures:
    trained = [p for p in loss_pass.model.parameters() if p.requires_grad]
    loss = loss_pass(batch)
    gradients: list[torch.Tensor | None] = list(torch.autograd.grad(loss, trained, allow_unused=True))
    return _Figures((float(loss.detach()),), gradients)


def _same_gradients(
    found: list[torch.Tensor | None], wanted: list[torch.Tensor | None], dtype: torch.dtype
) -> bool:
    apart = whole = 0.0
    for own, other in zip(found, wanted, strict=True):
        if own is None and other is None:
            continue
        own = torch.zeros_like(other) if own is None else own  # type: ignore[arg-type]
        other = torch.zeros_like(own) if other is None else other
        apart += float((own - other).float().square().sum())
        whole += float(other.float().square().sum())
    return bool(apart**0.5 <= GRADIENT_TOLERANCE[dtype] * whole**0.5)


def _in_short(error: Exception) -> str:
    return f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), '')}"[:300]


@contextmanager
def attention_in(model: Any, name: str) -> Iterator[bool]:
    """For the length of a block the model attends as `name` says; False where it has an attention of its own."""
    decoder = causal_model(model).get_decoder()
    own = getattr(getattr(decoder, "config", None), "_attn_implementation", None)
    try:
        yield set_attention(model, name)
    finally:
        if own is not None:
            set_attention(model, own)


def set_attention(model: Any, name: str) -> bool:
    """Whether the language model takes attention of this name from transformers' interface; then it has it."""
    decoder = causal_model(model).get_decoder()
    if not hasattr(decoder, "set_attn_implementation"):
        return False
    try:
        decoder.set_attn_implementation(name)
    except ValueError:
        return False
    return bool(decoder.config._attn_implementation == name)
