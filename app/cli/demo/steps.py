"""The steps of the demo, through the REST API like everybody else. Each finds what an earlier demo left and uses it."""

from dataclasses import dataclass, field
from typing import Any, Final

from app.base_models.schemas import BaseModelOut
from app.base_models.service import BUNDLED_NAME
from app.cli.demo.budget import Budget
from app.client.pipeline import (
    ensure_base_model,
    find_dataset,
    new_idempotency_key,
    require_green_check,
)
from app.client.rest import StudioClient
from app.client.waiting import Listener, require_success, wait_for_job
from app.core.console import CommandFailed
from app.core.formatting import number
from app.core.i18n import gettext as _
from app.curation.schemas import DatasetOut
from app.evaluations.documents import CaseLimits, EvaluationSummary
from app.evaluations.schemas import EvaluationOut
from app.files import APP_FOLDER
from app.jobs.models import JobState
from app.mask_checks.schemas import MaskCheckOut
from app.runs.schemas import RunOut
from app.versions.schemas import VersionOut

SAMPLES_DIR: Final = APP_FOLDER / "samples"
ENGLISH: Final = "Sample sales dialogues (English)"
SAMPLES: Final = ((ENGLISH, "sales.en.jsonl"), ("销售示例对话（中文）", "sales.zh.jsonl"))
SUITES: Final = ("sales-en", "general-en")
RECIPE: Final = "quick"
MASK_SETTINGS: Final[dict[str, Any]] = {"max_length": 768}
# Enough to be seen in the answers, little enough for a few minutes on two cores.
CHANGES: Final[dict[str, Any]] = {
    "lora_target_modules": "all-linear",
    "learning_rate": 2e-4,
    "num_train_epochs": 4,
    "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 1,
    "logging_steps": 1,
    "eval_steps": 6,
    "save_steps": 18,
    "save_total_limit": 2,
    "early_stopping_patience": 0,
}


@dataclass
class DemoSteps:
    """What the steps have found or made so far. Every step returns a note on what it did."""

    client: StudioClient
    listen: Listener
    base_model: BaseModelOut = field(init=False)
    datasets: list[DatasetOut] = field(init=False, default_factory=list)
    version: VersionOut = field(init=False)
    check: MaskCheckOut = field(init=False)
    run: RunOut = field(init=False)
    evaluations: dict[str, EvaluationOut] = field(init=False, default_factory=dict)
    # On a slow processor fewer steps and fewer cases.
    budget: Budget = field(default_factory=Budget)

    def prepare_base_model(self) -> str:
        """The bundled model as an ordinary folder."""
        self.base_model = ensure_base_model(self.client, BUNDLED_NAME, self.listen)
        parameters = self.base_model.info.parameters
        size = _("%(millions)d million parameters") % {"millions": parameters / 1e6} if parameters else ""
        return " · ".join(part for part in (self.base_model.name, size) if part)

    def load_samples(self) -> str:
        """The sample dialogues, unless they are there already."""
        counts = []
        for name, filename in SAMPLES:
            dataset = find_dataset(self.client, name)
            if dataset is None or not _size(dataset):
                self.client.import_file(name, SAMPLES_DIR / filename, format="messages", skip_bad=False)
                dataset = self._reload(name)
            self.datasets.append(dataset)
            counts.append(_("%(name)s: %(count)d") % {"name": name, "count": _size(dataset)})
        return " · ".join(counts)

    def approve_and_freeze(self) -> str:
        """Approve what nobody has looked at yet, freeze both sets; the English one is trained on."""
        for place, dataset in enumerate(self.datasets):
            # Somebody who works on the samples decides for themselves.
            if not dataset.approved:
                self.client.review_drafts(dataset.id, "approved")
                self.datasets[place] = self._reload(dataset.name)
        versions = {dataset.name: self.client.freeze(dataset.id) for dataset in self.datasets}
        self.version = versions[ENGLISH]
        return _("version %(number)d: %(train)d conversations to train on, %(validation)d held out") % {
            "number": self.version.number,
            "train": self.version.train_count,
            "validation": self.version.validation_count,
        }

    def _reload(self, name: str) -> DatasetOut:
        found = find_dataset(self.client, name)
        if found is None:
            raise CommandFailed(_("The dataset “%(name)s” disappeared meanwhile.") % {"name": name})
        return found

    def check_masks(self) -> str:
        """The whole version, token by token."""
        self.check = require_green_check(
            self.client, self.version.id, self.base_model.id, MASK_SETTINGS, self.listen
        )
        report = self.check.report
        return _("green: %(trained)s of %(tokens)s tokens are trained") % {
            "trained": number(report.trained if report else None),
            "tokens": number(report.tokens if report else None),
        }

    def train(self) -> str:
        """A run with the demo's settings; one that an earlier demo made or began is used."""
        found = self._earlier_run()
        if found is None:
            body = {
                "mask_check_id": self.check.id,
                "recipe": RECIPE,
                "changes": {**CHANGES, "max_train_minutes": self.budget.training(len(SUITES))},
                "confirmed": True,
            }
            self.run = self.client.start_run(body, new_idempotency_key())
        else:
            self.run = found
        was_done = self.run.job.state.is_final
        # Also for a finished run: its events draw the curve again.
        wait_for_job(self.client, self.run.job, self.listen, what=_("The run"))
        self.run = self.client.run(self.run.id)
        result = self.run.result
        note = _("run %(id)d: loss %(loss)s, held-out loss %(held_out)s") % {
            "id": self.run.id,
            "loss": number(result.train_loss if result else None, 3),
            "held_out": number(result.eval_loss if result else None, 3),
        }
        return _("%(note)s (from an earlier demo)") % {"note": note} if was_done else note

    def _earlier_run(self) -> RunOut | None:
        for run in self.client.runs(limit=200):
            same = run.mask_check_id == self.check.id and run.recipe == RECIPE
            config = run.config.model_dump()
            if (
                same
                and all(config.get(key) == value for key, value in CHANGES.items())
                and run.job.state in (JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED)
            ):
                return run
        return None

    def evaluate(self, suite: str) -> str:
        """Base and tuned model on one suite."""
        evaluation = next(
            (
                item
                for item in self.client.evaluations(self.run.id)
                if item.suite_name == suite and item.job.state is JobState.SUCCEEDED
            ),
            None,
        )
        if evaluation is None:
            # One under way is found by the server.
            limits = CaseLimits(max_minutes=self.budget.evaluation(len(SUITES) - len(self.evaluations)))
            evaluation = self.client.start_evaluation(self.run.id, suite, limits)
            wait_for_job(self.client, evaluation.job, self.listen, what=_("The evaluation"))
            evaluation = self.client.evaluation(evaluation.id)
        require_success(evaluation.job, what=_("The evaluation"))
        self.evaluations[suite] = evaluation
        summary = self.summary(suite)
        told = _("checks passed: base %(base)d, tuned %(tuned)d of %(all)d") % {
            "base": summary.base.checks_passed,
            "tuned": summary.tuned.checks_passed,
            "all": summary.tuned.checks,
        }
        return f"{told} · {summary.part.detail}" if summary.part else told

    def summary(self, suite: str) -> EvaluationSummary:
        """The summary of a suite that has been judged."""
        found = self.evaluations[suite].summary
        if found is None:
            raise CommandFailed(_("The evaluation on %(suite)s has no summary.") % {"suite": suite})
        return found


def _size(dataset: DatasetOut) -> int:
    return dataset.draft + dataset.approved + dataset.rejected
