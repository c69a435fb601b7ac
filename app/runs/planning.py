"""What a run would be, before it starts: its config, how long, how large, what it takes, and what to set otherwise."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from app.base_models.facts import ModelFacts
from app.core.errors import Invalid
from app.mask_checks.models import MaskCheck
from app.mask_checks.report import MaskReport
from app.recipes.advice import Advice, Situation, Task, advise, for_each_core
from app.recipes.backend import STUDIO
from app.recipes.config import TrainingConfig
from app.recipes.disk import estimate_disk
from app.recipes.estimates import Estimate, Tokens, estimate_steps
from app.recipes.memory import Fits, Work, estimate_memory, fits
from app.recipes.recipes import BUILT_IN, RecipeBook
from app.runs.backends import NO_BACKENDS, Backends
from app.runs.device import Device
from app.runs.fitting import Fitted, fit_config
from app.runs.mixing import Beside, EpochPlan, MixPlan, plan_epoch
from app.sentences import Sentence
from app.versions.models import DatasetVersion

# How far above the mean the largest batch of a run lies, in standard deviations of a batch.
_SPREAD: Final = 3


@dataclass(frozen=True)
class MemoryPlan:
    """`needed` at the peak, beside what the device has, in bytes."""

    needed: int
    device: Device

    @property
    def fits(self) -> Fits:
        """Whether it goes into what is free now, or into all of it where nobody knows what is free."""
        return fits(self.needed, self.device.free)


@dataclass(frozen=True)
class Plan:
    """What would be trained: the config, how many steps, what that takes, and what does not fit. Unknown is None."""

    config: TrainingConfig | None = None
    estimate: Estimate | None = None
    tokens: Tokens | None = None
    disk: int | None = None
    memory: MemoryPlan | None = None
    advice: list[Advice] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    notes: list[Sentence] = field(default_factory=list)
    warnings: list[Sentence] = field(default_factory=list)
    mix: MixPlan | None = None
    held_out: int = 0

    @property
    def epochs(self) -> float:
        """Passes over the data."""
        return self.estimate.epochs if self.estimate else 0

    @property
    def minutes(self) -> float:
        """The time budget; 0: none."""
        return self.config.max_train_minutes if self.config else 0


@dataclass(frozen=True)
class Choice:
    """What is asked to be trained: a recipe by name, what is changed of it, and what for. `book` has who asks may name; `locked`
    are fields that cannot be otherwise, so that nothing is advised on them.
    """

    recipe: str
    changes: Mapping[str, object]
    task: Task | None = None
    book: RecipeBook = BUILT_IN
    locked: Collection[str] = ()


def make_plan(
    choice: Choice,
    version: DatasetVersion | None,
    check: MaskCheck | None,
    facts: ModelFacts | None,
    device: Device | None,
    backends: Backends = NO_BACKENDS,
    beside: Beside | None = None,
) -> Plan:
    """The plan for a version on a model with these facts, and what is mixed in; without a version only the config is looked
    at.
    """
    try:
        recipe = choice.book.require(choice.recipe)
        fitted = fit_config(recipe, choice.changes, version, facts, backends)
    except Invalid as error:
        one = {error.field or "recipe": error.translated()}
        return Plan(errors={item["field"]: item["message"] for item in error.details} or one)
    return plan_of(fitted, choice, version, check, facts, device, beside)


def plan_of(
    fitted: Fitted,
    choice: Choice,
    version: DatasetVersion | None,
    check: MaskCheck | None,
    facts: ModelFacts | None,
    device: Device | None,
    beside: Beside | None = None,
) -> Plan:
    """The plan of a config that is fitted already; what needs a device is left out without one."""
    config = fitted.config
    if version is None:
        return Plan(config, notes=fitted.notes, warnings=fitted.warnings)
    epoch = plan_epoch(config, version, check, beside)
    estimate = estimate_steps(epoch.samples, config)
    mix_check, memory, cores = (beside.check if beside else None), None, 0
    if beside is None or mix_check is not None:
        memory = expected_memory(config, check, mix_check, facts, device)
        cores = _cores_with_room(config, check, mix_check, facts, device)
    situation = Situation(version.train_count, version.validation_count, choice.recipe, choice.task, cores)
    return Plan(
        config,
        estimate,
        _tokens(epoch, estimate, check),
        estimate_disk(estimate, config, facts, on_cpu=device is not None and device.cores > 0)
        if facts
        else None,
        memory,
        _to_take(advise(estimate, config, situation), choice.locked),
        notes=fitted.notes,
        warnings=fitted.warnings,
        mix=epoch.mix,
        held_out=version.validation_count,
    )


def _to_take(advice: list[Advice], locked: Collection[str]) -> list[Advice]:
    """Without what cannot be taken whole: pieces for one reason belong together."""
    reasons = [one.sentence for one in advice if one.field in locked]
    return [one for one in advice if one.sentence not in reasons]


def _tokens(epoch: EpochPlan, estimate: Estimate, check: MaskCheck | None) -> Tokens | None:
    if epoch.tokens is None or epoch.trained_tokens is None:
        return None
    report = check.report if check else None
    counted = report is not None and report.to_train is not None and epoch.mix is None
    passes = estimate.samples_passed / max(1, epoch.samples)
    return Tokens(
        round(epoch.tokens * passes),
        round(epoch.trained_tokens * passes),
        exact=counted and estimate.is_whole,
    )


def expected_memory(
    config: TrainingConfig,
    check: MaskCheck | None,
    mix_check: MaskCheck | None,
    facts: ModelFacts | None,
    device: Device | None,
) -> MemoryPlan | None:
    """What training the samples of a checked version takes at its peak, or of the one mixed in, where those are larger; None
    where too little is known.
    """
    if device is None:
        return None
    plans = [_memory(config, one.report, facts, device) for one in (check, mix_check) if one is not None]
    known = [plan for plan in plans if plan is not None]
    return max(known, key=lambda plan: plan.needed) if known and len(known) == len(plans) else None


def _cores_with_room(
    config: TrainingConfig,
    check: MaskCheck | None,
    mix_check: MaskCheck | None,
    facts: ModelFacts | None,
    device: Device | None,
) -> int:
    """The cores of the processor that trains, where its memory surely holds a sample for each of them; else 0."""
    if device is None or (batch := for_each_core(config, device.cores)) is None:
        return 0
    larger = config.model_copy(update={"per_device_train_batch_size": batch})
    memory = expected_memory(larger, check, mix_check, facts, device)
    return device.cores if memory is not None and memory.fits is Fits.YES else 0


def _memory(
    config: TrainingConfig, report: MaskReport | None, facts: ModelFacts | None, device: Device
) -> MemoryPlan | None:
    if report is None or facts is None or not report.samples or config.backend != STUDIO:
        # What another program takes was never measured.
        return None
    half = device.has_bf16 if config.bf16 == "auto" else config.bf16
    largest = largest_batch(report, config.per_device_train_batch_size)
    work = Work(largest, report.longest, device.cores, shortest(report))
    needed = estimate_memory(facts, config, work, half=half)
    return None if needed is None else MemoryPlan(needed, device)


def shortest(report: MaskReport) -> int:
    """Tokens that every sample of a run has at least, as far as the lengths are told apart."""
    lengths = zip(report.lengths.edges, report.lengths.counts, strict=False)
    return round(next((edge for edge, count in lengths if count), 0))


def largest_batch(report: MaskReport, samples: int) -> int:
    """Tokens that the largest of a run's batches of so many samples is going to have, by the spread of their lengths."""
    mean = report.tokens / report.samples
    edges, counts = report.lengths.edges, report.lengths.counts
    middles = [(low + high) / 2 for low, high in pairwise(edges)]
    total = max(1, sum(counts))
    spread = math.sqrt(
        sum(count * (middle - mean) ** 2 for middle, count in zip(middles, counts, strict=False)) / total
    )
    expected = samples * mean + _SPREAD * spread * math.sqrt(samples)
    return round(max(report.longest, min(samples * report.longest, expected)))
