"""What the source material does about each fault, as fields to change: only those that would be otherwise than they are."""

import math
from collections.abc import Mapping
from typing import Final

from app.diagnosis.findings import Value
from app.diagnosis.record import Record, Settings
from app.sentences import N_, Sentence

TRAINING_LOSS: Final = N_("Training loss")
HELD_OUT_LOSS: Final = N_("Held-out loss")

Remedy = tuple[Sentence, Mapping[str, Value]]

# The recipe for runs that explode, and the usual learning rate of LoRA.
_STABLE_RATE: Final = 2e-5
_USUAL_RATE: Final = 1e-4
_HIGHEST_RATE: Final = 1e-2
_MOST_ACCUMULATION: Final = 512
_PATIENCE: Final = 3


def _changed(settings: Settings, **wanted: Value) -> Mapping[str, Value]:
    return {name: value for name, value in wanted.items() if getattr(settings, name) != value}


def _rate(value: float) -> float:
    """With two digits, as a person would type it."""
    return float(f"{value:.1e}")


def shorter(settings: Settings, record: Record, best_step: int) -> Remedy:
    """Against overfitting: end where the held-out loss was best, drop out more, stop by the held-out loss."""
    wanted: dict[str, Value] = {
        "lora_dropout": max(settings.lora_dropout, 0.1),
        "weight_decay": max(settings.weight_decay, 0.01),
        "early_stopping_patience": settings.early_stopping_patience or _PATIENCE,
    }
    if settings.max_steps > 0:
        wanted["max_steps"] = max(1, min(settings.max_steps, best_step))
    elif (epoch := _epoch_of(record, best_step)) is not None:
        wanted["num_train_epochs"] = min(settings.num_train_epochs, max(1.0, math.ceil(2 * epoch) / 2))
    return Sentence(
        N_(
            "Train for fewer epochs, drop out more and stop when the held-out loss has no new best. More and more varied "
            "conversations help most."
        )
    ), _changed(settings, **wanted)


def _epoch_of(record: Record, step: int) -> float | None:
    """Passes over the data at a step, by the points beside it."""
    if step <= 0:
        return 0.0
    known = [(point.step, point.epoch) for point in record.train if point.epoch and point.step]
    if not known:
        return None
    nearest, epoch = min(known, key=lambda point: abs(point[0] - step))
    return epoch / nearest * step


def calmer(settings: Settings) -> Remedy:
    """Against an explosion: a tenth of the rate, or the stable recipe's, a warm-up, clipping, twice the accumulation."""
    return Sentence(
        N_(
            "Lower the learning rate, warm it up, clip gradients at 1.0 or below and add up more batches a step. If it comes "
            "again, look at the data of that step."
        )
    ), _changed(
        settings,
        learning_rate=_rate(max(settings.learning_rate / 10, min(_STABLE_RATE, settings.learning_rate / 2))),
        warmup_ratio=max(settings.warmup_ratio, 0.1),
        max_grad_norm=1.0 if settings.max_grad_norm > 1 else _rate(settings.max_grad_norm / 2),
        gradient_accumulation_steps=_doubled(settings),
    )


def decaying(settings: Settings) -> Remedy:
    """Against a fall and then a rise: a lower rate that decays, and an end at the best."""
    return Sentence(
        N_(
            "Lower the learning rate and let it decay along a cosine, and stop when the held-out loss has no new best."
        )
    ), _changed(
        settings,
        learning_rate=_rate(settings.learning_rate / 3),
        lr_scheduler_type="cosine",
        warmup_ratio=min(settings.warmup_ratio, 0.1),
        early_stopping_patience=settings.early_stopping_patience or _PATIENCE,
    )


def steadier(settings: Settings) -> Remedy:
    """Against oscillation: half the rate, twice the accumulation."""
    return Sentence(N_("Halve the learning rate and add up twice as many batches a step.")), _changed(
        settings,
        learning_rate=_rate(settings.learning_rate / 2),
        gradient_accumulation_steps=_doubled(settings),
    )


def bolder(settings: Settings) -> Remedy:
    """Against no decrease: a rate at least as high as LoRA's usual one."""
    return Sentence(
        N_(
            "Raise the learning rate. If the loss does not fall then either, look at the masks: what should be learned may "
            "not be trained."
        )
    ), _changed(
        settings,
        learning_rate=_rate(min(max(settings.learning_rate * 3, _USUAL_RATE), _HIGHEST_RATE)),
        warmup_ratio=min(settings.warmup_ratio, 0.1),
    )


def gentler(settings: Settings, record: Record, step: int) -> Remedy:
    """Against parroting: fewer epochs, more dropout, an adapter of half the rank, which remembers less."""
    _, changes = shorter(settings, record, step)
    return Sentence(
        N_(
            "Train for fewer epochs with more dropout and a smaller adapter, on more varied conversations: each of these "
            "leaves the model less room to learn answers by heart."
        )
    ), {**changes, **_half_the_rank(settings)}


def livelier(settings: Settings) -> Remedy:
    """Against a loss of diversity: a lower rate and a smaller adapter, which leave more of the base model."""
    return Sentence(
        N_(
            "Lower the learning rate and take a smaller adapter, so that more of the base model is left; mix in general "
            "conversations and remove those that answer everything alike."
        )
    ), {
        **_changed(settings, learning_rate=_rate(settings.learning_rate / 2)),
        **_half_the_rank(settings),
    }


def _half_the_rank(settings: Settings) -> Mapping[str, Value]:
    """Rank and alpha together keep the adapter's scale."""
    rank = max(8, settings.lora_r // 2)
    if rank >= settings.lora_r:
        return {}
    return _changed(settings, lora_r=rank, lora_alpha=max(1, settings.lora_alpha * rank // settings.lora_r))


def _doubled(settings: Settings) -> int:
    return min(2 * settings.gradient_accumulation_steps, _MOST_ACCUMULATION)
