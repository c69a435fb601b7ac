"""What the checklist is read from: rows, curves and reports of a run, fetched once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlmodel import Session

from app.base_models.models import ModelEntry
from app.diagnosis import Finding, Record, diagnose
from app.evaluations.documents import EvaluationSummary
from app.evaluations.service import newest_summaries
from app.jobs.events import MetricPayload
from app.jobs.newest import last_event
from app.mask_checks.models import MaskCheck
from app.recipes.advice import Advice, Situation, advise
from app.recipes.estimates import estimate_steps
from app.runs.beginning_words import against_earlier
from app.runs.diagnosis import record_of, settings_of
from app.runs.lineage import lineage_of
from app.runs.mixing import MixedIn, epoch_of
from app.runs.models import Run
from app.runs.samples import Samples, read_samples
from app.runs.service import run_job
from app.versions.models import DatasetVersion


@dataclass(frozen=True)
class Facts:
    """`newest` by suite the id of its newest finished evaluation and what that found; `advice` by field; `against` held-out losses
    of what the run began from and of what came of it.
    """

    run: Run
    is_over: bool
    dataset_id: int
    version: DatasetVersion
    model: ModelEntry
    check: MaskCheck
    mixed_in: MixedIn | None
    record: Record
    newest_point: MetricPayload | None
    samples: Samples
    findings: Sequence[Finding]
    advice: Mapping[str, Advice]
    newest: Mapping[str, tuple[int, EvaluationSummary]]
    against: tuple[float, float] | None

    @property
    def page(self) -> str:
        """The run's own."""
        return f"/runs/{self.run.id}"

    def of_kind(self, kind: str) -> list[tuple[int, EvaluationSummary]]:
        """Evaluations on suites of a kind, with a verdict."""
        return [one for one in self.newest.values() if one[1].verdict and one[1].verdict.kind == kind]


def read_facts(session: Session, run: Run) -> Facts:
    """Everything that is known of the run now."""
    lineage, job = lineage_of(session, run), run_job(session, run)
    version, check = lineage["version"], lineage["check"]
    estimate = estimate_steps(epoch_of(session, run).samples, run.config)
    record = record_of(session, run)
    situation = Situation(version.train_count, version.validation_count, run.recipe)
    return Facts(
        run=run,
        is_over=job.is_final,
        dataset_id=lineage["dataset"].id or 0,
        version=version,
        model=lineage["model"],
        check=check,
        mixed_in=lineage["mixed_in"],
        record=record,
        newest_point=last_event(session, run.job_id, MetricPayload),
        samples=read_samples(session, job),
        findings=diagnose(record, settings_of(run.config)),
        advice={one.field: one for one in advise(estimate, run.config, situation)},
        newest=newest_summaries(session, [run.id or 0]).get(run.id or 0, {}),
        against=against_earlier(session, run),
    )
