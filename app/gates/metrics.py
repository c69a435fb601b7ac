"""Every number that a run and its evaluations have, by name: what limits are set on.

Names of evaluations begin with their suite: `sales-en.checks`. Of a suite it is the newest finished evaluation that counts.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from sqlmodel import Session

from app.core.database import utc_now
from app.evaluations.documents import EvaluationSummary, SideSummary
from app.evaluations.models import Evaluation
from app.evaluations.service import answers, newest_summaries
from app.evaluations.summing import named_checks
from app.mask_checks.models import MaskCheck
from app.mask_checks.service import require_mask_check
from app.runs.diagnosis import diagnose_run
from app.runs.losses import read_losses
from app.runs.models import Run
from app.runs.service import run_job
from app.scoring.scores import DIMENSIONS
from app.scoring.suites import parse_suite
from app.sentences import N_
from app.versions.service import require_version

Better = Literal["higher", "lower"]
# The run's own, and that of an evaluation.
HELD_OUT_LOSS: Final = "held_out_loss"
EVALUATED_LOSS: Final = "evaluated_held_out_loss"
# Between which a share of something lies, and how much better or worse an answer is.
SHARE: Final = (0.0, 1.0)
EFFECT: Final = (-1.0, 1.0)
# What `--against` holds where nothing else is named.
HEADLINES: Final = (HELD_OUT_LOSS, "checks")
_SCORES: Final[Mapping[str, str]] = {
    "relevance": N_("Relevance"),
    "completeness": N_("Completeness"),
    "professionalism": N_("Professionalism"),
    "safety": N_("Safety"),
    "format": N_("Format"),
}
_COUNTS: Final[Mapping[str, tuple[str, Better | None]]] = {
    "conversations": (N_("Conversations"), None),
    "samples": (N_("Samples"), None),
    "tokens": (N_("Tokens"), None),
    "trained": (N_("Trained tokens"), None),
    "failing_conversations": (N_("Conversations that fail a check"), "lower"),
    "refused": (N_("Refused"), "lower"),
    "dropped": (N_("Left out"), "lower"),
    "truncated_samples": (N_("Cut samples"), "lower"),
    "truncated_trained_tokens": (N_("Trained tokens cut off"), "lower"),
    "longest": (N_("Longest"), None),
}


@dataclass(frozen=True)
class Metric:
    """One number. `base` is the base model's, measured the same way; `better` the good direction, None where there is none.

    `suite` is the one it was measured on, if any. Two whose `measured_on` differ were measured on other data and cannot be
    compared. `label` is English for the catalogues, or a suite's own words in the reader's language. `span` are the lowest and the
    highest value that it can have, where it has both.
    """

    name: str
    label: str
    value: float
    better: Better | None = None
    base: float | None = None
    suite: str | None = None
    measured_on: str = ""
    span: tuple[float, float] | None = None

    @property
    def short(self) -> str:
        """The name without its suite."""
        return self.name.removeprefix(f"{self.suite}.") if self.suite else self.name

    @property
    def is_headline(self) -> bool:
        """Whether `--against` holds it by itself."""
        return self.short in HEADLINES


Metrics = dict[str, Metric]


def read_metrics(session: Session, run: Run) -> Metrics:
    """All that are known of a run, in the order in which a list shows them. What is unknown or no number is left out."""
    newest = newest_summaries(session, [run.id or 0]).get(run.id or 0, {})
    found = [
        *_of_run(session, run, newest),
        *_of_check(require_mask_check(session, run.mask_check_id)),
        *(
            metric
            for _suite, (evaluation_id, summary) in sorted(newest.items())
            for metric in _of_evaluation(session, evaluation_id, summary)
        ),
    ]
    return {metric.name: metric for metric in found if math.isfinite(metric.value)}


def _of_run(
    session: Session, run: Run, newest: Mapping[str, tuple[int, EvaluationSummary]]
) -> Iterator[Metric]:
    result, job = run.result, run_job(session, run)
    yield from _held_out(
        session, run, [summary for _id, summary in sorted(newest.values(), key=_id, reverse=True)]
    )
    if result and result.train_loss is not None:
        yield Metric(
            "train_loss", N_("Training loss"), result.train_loss, "lower", measured_on=_trained_on(run)
        )
    if result and result.mix and result.mix.loss_after is not None:
        yield Metric(
            "mixed_held_out_loss",
            N_("Held-out loss of what is mixed in"),
            result.mix.loss_after,
            "lower",
            result.mix.loss_before,
            measured_on=run.mix_arrays_hash or "",
        )
    if result:
        yield Metric("steps", N_("Steps"), result.steps)
        yield Metric("kept_step", N_("Step of the kept weights"), result.adapter_step)
        yield Metric("labels_seen", N_("Samples whose labels reached the loss"), result.labels_seen)
        if result.peak_memory_bytes is not None:
            yield Metric("peak_memory_bytes", N_("Memory at the peak"), result.peak_memory_bytes, "lower")
    seconds = job.seconds_worked(utc_now())
    if job.finished_at and seconds is not None:
        yield Metric("seconds", N_("Duration in seconds"), seconds, "lower")
    yield Metric("findings", N_("Findings of the diagnosis"), len(diagnose_run(session, run)), "lower")
    version = require_version(session, run.dataset_version_id)
    yield Metric("train_conversations", N_("Conversations to train on"), version.train_count)
    yield Metric("held_out_conversations", N_("Conversations held out"), version.validation_count)


def _trained_on(run: Run) -> str:
    return f"{run.arrays_hash}+{run.mix_arrays_hash}" if run.mix_arrays_hash else run.arrays_hash


def _id(one: tuple[int, EvaluationSummary]) -> int:
    return one[0]


def _held_out(session: Session, run: Run, newest_first: Iterable[EvaluationSummary]) -> Iterator[Metric]:
    """As the run measured itself, and as an evaluation measured both models later: two ways of computing one number, in rows of
    several conversations and one at a time, whose roundings differ in the third digit after the point in bf16. Each has its name,
    so that nobody holds one against the other.
    """
    if run.result and run.result.eval_loss is not None:
        yield from _losses(
            run,
            (HELD_OUT_LOSS, N_("Held-out loss")),
            ("perplexity", N_("Perplexity")),
            run.result.eval_loss,
            _before(session, run),
        )
    if both := next((one.held_out_loss for one in newest_first if one.held_out_loss), None):
        yield from _losses(
            run,
            (EVALUATED_LOSS, N_("Held-out loss, measured by the evaluation")),
            ("evaluated_perplexity", N_("Perplexity, measured by the evaluation")),
            both.tuned,
            both.base,
        )


def _before(session: Session, run: Run) -> float | None:
    """Of the base model, measured as the run's end was; None where it began elsewhere or another tool measured on the way."""
    if run.begins is not None or run.result is None or run.result.trained_by:
        return None
    return read_losses(session, run_job(session, run)).before


def _losses(
    run: Run, loss: tuple[str, str], other: tuple[str, str], tuned: float, base: float | None
) -> Iterator[Metric]:
    yield Metric(*loss, tuned, "lower", base, measured_on=run.arrays_hash)
    yield Metric(
        *other,
        _perplexity(tuned),
        "lower",
        None if base is None else _perplexity(base),
        measured_on=run.arrays_hash,
    )


def _perplexity(loss: float) -> float:
    return math.exp(loss) if loss < 700 else math.inf


def _of_check(check: MaskCheck) -> Iterator[Metric]:
    yield Metric(
        "mask_check.passed",
        N_("Mask check is green (1) or red (0)"),
        float(bool(check.passed)),
        "higher",
        span=SHARE,
    )
    if report := check.report:
        for name, (label, better) in _COUNTS.items():
            yield Metric(f"mask_check.{name}", label, getattr(report, name), better)
        yield Metric(
            "mask_check.suspicious", N_("Conversations that deserve a look"), len(report.suspicious), "lower"
        )


def _of_evaluation(session: Session, evaluation_id: int, summary: EvaluationSummary) -> Iterator[Metric]:
    evaluation = session.get_one(Evaluation, evaluation_id)
    suite, cases = evaluation.suite_name, _cases_hash(evaluation)

    def metric(
        name: str,
        label: str,
        value: float,
        better: Better | None = "higher",
        base: float | None = None,
        span: tuple[float, float] | None = None,
    ) -> Metric:
        return Metric(f"{suite}.{name}", label, value, better, base, suite, cases, span)

    base, tuned = summary.base, summary.tuned
    if (share := _share(tuned)) is not None:
        yield metric("checks", N_("Share of checks passed"), share, base=_share(base), span=SHARE)
        yield metric("checks_passed", N_("Checks passed"), tuned.checks_passed, base=base.checks_passed)
    if tuned.scores.mean is not None:
        yield metric("score", N_("Mean score"), tuned.scores.mean, base=base.scores.mean, span=SHARE)
        for dimension in DIMENSIONS:
            value = getattr(tuned.scores, dimension)
            yield metric(
                dimension, _SCORES[dimension], value, base=getattr(base.scores, dimension), span=SHARE
            )
    if summary.retention and summary.retention.value is not None:
        yield metric("retention", N_("General ability kept"), summary.retention.value)
    if verdict := summary.verdict:
        yield metric("cases", N_("Cases"), verdict.cases, None)
        yield metric("wins", N_("Cases better"), verdict.wins)
        yield metric("losses", N_("Cases worse"), verdict.losses, "lower")
        yield metric("effect", N_("Mean effect, −1 to 1"), verdict.effect, span=EFFECT)
        if verdict.low is not None:
            yield metric("effect_low", N_("Mean effect, lower end of its interval"), verdict.low, span=EFFECT)
        yield metric("cut", N_("Answers cut at the limit"), verdict.cut_after, "lower", verdict.cut_before)
    content = parse_suite(evaluation.suite, suite)
    for name, check in named_checks(content, answers(session, evaluation_id)).items():
        yield metric(f"check.{name}", check.title, check.tuned, base=check.base, span=SHARE)


def _share(side: SideSummary) -> float | None:
    return side.checks_passed / side.checks if side.checks else None


def _cases_hash(evaluation: Evaluation) -> str:
    """Of what was asked: two evaluations with the same hash answered the same cases, judged the same way."""
    content = json.dumps(evaluation.suite.get("prompts"), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()
