"""What a run trains on where a second dataset is mixed in: both sets of checked arrays, joined, and in which order they go."""

import json
from pathlib import Path
from typing import Final

from app.jobs.events import Emit
from app.masking import Amount, MaskingError, Mixture, mix, unmixed
from app.recipes.config import TrainingConfig
from app.recipes.estimates import estimate_steps
from app.recipes.mixing import CURRICULUM
from app.runs.result import MixedResult, TrainedAmount
from app.runs.work import TrainInput
from app.sentences import N_
from worker.work.protocol import JobFailed, log
from worker.work.training.data import Order, epoch_order, load_arrays

# Among the run's files: which conversations were drawn.
DRAWN: Final = "mixture.json"
_MIXED: Final = N_(
    "%(mixed)d conversations are mixed in with %(domain)d of the domain: %(share)s %% of the conversations, %(trained)s %% of "
    "the trained tokens."
)
_AGAIN: Final = N_(
    "The second dataset has %(available)d conversations to train on and %(wanted)d are wanted: some are trained more than "
    "once an epoch."
)
_LEFT_OUT: Final = N_(
    "%(count)d conversations of the second dataset are in the first one too and are left out."
)


def load_mixture(job: TrainInput, emit: Emit) -> Mixture:
    """The arrays of the job, with those that are mixed in. Raises JobFailed where either are not the checked ones."""
    arrays = load_arrays(Path(job.arrays), job.arrays_hash, job.arrays_file_hash)
    if job.mixed_in is None:
        return unmixed(arrays)
    other = load_arrays(Path(job.mixed_in.arrays), job.mixed_in.arrays_hash, job.mixed_in.arrays_file_hash)
    try:
        mixture = mix(arrays, other, share=job.config.mix_share, seed=job.config.seed)
    except MaskingError as error:
        raise JobFailed.of(error) from error
    told = what_is_mixed(mixture, job.config)
    figures = {"mixed": told.mixed_in.conversations, "domain": told.domain.conversations}
    shares = {"share": f"{100 * told.share:.1f}", "trained": f"{100 * told.trained_share:.1f}"}
    log(emit, "info", _MIXED, **figures, **shares)
    if mixture.available < len(mixture.drawn):
        log(emit, "warning", _AGAIN, available=mixture.available, wanted=len(mixture.drawn))
    if mixture.left_out:
        log(emit, "info", _LEFT_OUT, count=mixture.left_out)
    return mixture


def what_is_mixed(mixture: Mixture, config: TrainingConfig) -> MixedResult:
    """The mixture in numbers."""
    return MixedResult(
        domain=_amount(mixture.amount(mixed=False)),
        mixed_in=_amount(mixture.amount(mixed=True)),
        order=config.mix_order,
        seed=config.seed,
        available=mixture.available,
        left_out=mixture.left_out,
        arrays_hash=mixture.arrays.hash,
        drawn=DRAWN,
    )


def _amount(amount: Amount) -> TrainedAmount:
    return TrainedAmount(**vars(amount))


def write_drawn(folder: Path, mixture: Mixture) -> None:
    """Ids of the conversations that were mixed in, each as often as in an epoch; none without a second dataset."""
    if mixture.is_mixed:
        (folder / DRAWN).write_text(json.dumps({"conversation_ids": list(mixture.drawn)}) + "\n", "utf-8")


def order_of(mixture: Mixture, config: TrainingConfig) -> Order | None:
    """The order of training samples by epoch; None where all are shuffled together. `config` has the steps that are run."""
    if not mixture.is_mixed or config.mix_order != CURRICULUM:
        return None
    first, then = len(mixture.places(mixed=False)), len(mixture.places(mixed=True))
    # Places among the training samples, where the domain's come first.
    domain, mixed = list(range(first)), list(range(first, first + then))
    epochs = estimate_steps(first + then, config).epochs
    return curriculum(mixed, domain, config.seed, round(epochs * (first + then)))


def curriculum(first: list[int], then: list[int], seed: int, in_all: int) -> Order:
    """All passes over `first`, then all over `then`: each has of the `in_all` samples of a run the share that it has of a
    pass over both. Every pass is shuffled anew.
    """
    size = len(first) + len(then)
    border = round(in_all * len(first) / size)

    def order(epoch: int) -> list[int]:
        begin, end = epoch * size, (epoch + 1) * size
        return [
            *_stretch(first, seed, min(begin, border), min(end, border)),
            *_stretch(then, seed, max(begin, border) - border, max(end, border) - border),
        ]

    return order


def _stretch(places: list[int], seed: int, begin: int, end: int) -> list[int]:
    """From `begin` to `end` of pass after pass over `places`."""
    passes = range(begin // len(places), -(-end // len(places)))
    run = [places[at] for number in passes for at in epoch_order(len(places), seed, number)]
    skipped = passes.start * len(places)
    return run[begin - skipped : end - skipped]


def begins_to_count(mixture: Mixture, config: TrainingConfig) -> float:
    """From which share of the steps on the domain's held-out loss can be expected to fall."""
    if not mixture.is_mixed or config.mix_order != CURRICULUM:
        return 0.0
    mixed, domain = (len(mixture.places(mixed=of_mixed)) for of_mixed in (True, False))
    return mixed / (mixed + domain)
