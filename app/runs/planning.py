"""What a run would be, before it starts: its config, how long, how large, what it takes, and what to set otherwise."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from app.base_models.facts import ModelFacts
from app.core.errors import Invalid
from app.mask_checks.models import MaskCheck
from app.mask_checks.report import MaskReport
from app.recipes.advice import Advice, Situation, Task, advise
from app.recipes.backend import STUDIO
from app.recipes.config import TrainingConfig
from app.recipes.estimates import Estimate, Tokens, estimate_disk, estimate_steps
from app.recipes.memory import Fits, Work, estimate_memory, fits
from app.recipes.recipes import BUILT_IN, RecipeBook
from app.runs.backends import NO_BACKENDS, Backends
from app.runs.device import Device
from app.runs.fitting import fit_config
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
        """Whether it goes into what is free now."""
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
    """What is asked to be trained: a recipe by name, what is changed of it, and what for. `book` has who asks may name."""

    recipe: str
    changes: Mapping[str, object]
    task: Task | None = None
    book: RecipeBook = BUILT_IN


def make_plan(
    choice: Choice,
    version: DatasetVersion | None,
    check: MaskCheck | None,
    facts: ModelFacts | None,
    device: Device,
    backends: Backends = NO_BACKENDS,
) -> Plan:
    """The plan for a version on a model with these facts; without a version only the config is looked at."""
    try:
        recipe = choice.book.require(choice.recipe)
        fitted = fit_config(recipe, choice.changes, version, facts, backends)
    except Invalid as error:
        one = {error.field or "recipe": error.translated()}
        return Plan(errors={item["field"]: item["message"] for item in error.details} or one)
    config = fitted.config
    if version is None:
        return Plan(config, notes=fitted.notes, warnings=fitted.warnings)
    estimate = estimate_steps(training_samples(version, check), config)
    situation = Situation(version.train_count, version.validation_count, recipe.name, choice.task)
    report = check.report if check else None
    return Plan(
        config,
        estimate,
        _tokens(report, version, estimate),
        estimate_disk(estimate, config, facts) if facts else None,
        expected_memory(config, report, facts, device),
        advise(estimate, config, situation),
        notes=fitted.notes,
        warnings=fitted.warnings,
    )


def training_samples(version: DatasetVersion, check: MaskCheck | None) -> int:
    """Samples of the training split: counted by the check, else one a conversation."""
    samples = check.report.samples if check and check.report else 0
    if not samples or not version.conversation_count:
        return version.train_count
    return max(1, round(samples * version.train_count / version.conversation_count))


def _tokens(report: MaskReport | None, version: DatasetVersion, estimate: Estimate) -> Tokens | None:
    if report is None:
        return None
    share = version.train_count / max(1, version.conversation_count) * estimate.epochs
    return Tokens(round(report.tokens * share), round(report.trained * share))


def expected_memory(
    config: TrainingConfig, report: MaskReport | None, facts: ModelFacts | None, device: Device
) -> MemoryPlan | None:
    """What training the samples of a checked version takes at its peak; None where too little is known."""
    if report is None or facts is None or not report.samples or config.backend != STUDIO:
        # What another program takes was never measured.
        return None
    half = device.has_bf16 if config.bf16 == "auto" else config.bf16
    work = Work(largest_batch(report, config.per_device_train_batch_size), report.longest, device.cores)
    needed = estimate_memory(facts, config, work, half=half)
    return None if needed is None else MemoryPlan(needed, device)


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
