"""What REST reads and writes for runs."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from app.accounts.who import CreatedByOut
from app.core.i18n import gettext, say
from app.diagnosis import Finding, FindingCode
from app.interop.environments import Environment, setting_of
from app.interop.handing import TOOL_NAMES, Tool
from app.jobs.events import MetricPayload
from app.jobs.models import Job
from app.jobs.schemas import JobOut
from app.recipes.config import TrainingConfig
from app.recipes.fields import changes_schema
from app.recipes.foreign import LARGEST_BYTES
from app.recipes.foreign import Tool as ForeignTool
from app.runs.advice import remedy_for
from app.runs.beginning import Beginning
from app.runs.comparing import Difference, Reached
from app.runs.curves import METRIC_FIELDS, Curves
from app.runs.diagnosis import new_run_address
from app.runs.models import Run
from app.runs.plan_schemas import StartIn
from app.runs.preflight.documents import PreflightRecord
from app.runs.preflight.schemas import ACCEPTED, AcceptedNames
from app.runs.result import RunResult
from app.versions.changes import Changes


class ForeignConfigIn(BaseModel):
    """A training config of LLaMA-Factory or Axolotl, or a recipe that was exported here, as its YAML."""

    model_config = ConfigDict(extra="forbid")

    config: str = Field(max_length=LARGEST_BYTES)


class ForeignConfigOut(BaseModel):
    """`changes` to a recipe that the config asks for, as a run's start takes them; `notes` say what was left out."""

    tool: ForeignTool
    changes: dict[str, Any] = Field(json_schema_extra=changes_schema())
    notes: list[str]


class BackendOut(BaseModel):
    """A program that can train instead of the studio: as `backend` names it, and the version that is found here, if any; whether
    that can be started, as one cannot whose environment was moved.

    `setting` is the environment variable that names where it is installed. `accelerate_configs` are the files that
    `accelerate_config` may name here; of TRL alone, which is started with them.
    """

    backend: Tool
    title: str
    version: str | None
    can_start: bool
    setting: str
    accelerate_configs: list[str] = Field(default_factory=list)

    @classmethod
    def of(cls, tool: Tool, found: Environment | None, files: Iterable[str]) -> "BackendOut":
        """From what was found."""
        return cls(
            backend=tool,
            title=TOOL_NAMES[tool],
            version=found.version if found else None,
            can_start=found is not None and found.broken is None,
            setting=setting_of(tool),
            accelerate_configs=list(files) if tool == "trl" else [],
        )


class AsBaseIn(BaseModel):
    """How the base model is to be called; as the run where nothing is said."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(default="", max_length=120)


class RunIn(StartIn):
    """Start a run. `mask_check_id` names version, model and mask settings at once."""

    name: str = Field(default="", max_length=120)


class AgainIn(BaseModel):
    """What may be said beside “again”: what is to be otherwise, and warnings that have come up since."""

    model_config = ConfigDict(extra="forbid")

    changes: Annotated[dict[str, Any], WithJsonSchema(changes_schema())] = Field(
        default_factory=dict,
        description="Fields that are otherwise than in that run, such as the `changes` of a finding of its diagnosis.",
    )

    accepted_warnings: AcceptedNames = Field(default_factory=list, description=ACCEPTED)


class RemedyOut(BaseModel):
    """What a run that failed wants otherwise: a sentence in the reader's language, and the fields, ready for `changes` of “again”."""

    advice: str
    changes: dict[str, str]

    @classmethod
    def of(cls, run: Run, job: Job) -> "RemedyOut | None":
        """None unless a change of the config can help."""
        remedy = remedy_for(run, job)
        return cls(advice=say(remedy.sentence), changes=remedy.changes) if remedy and remedy.changes else None


class RunOut(CreatedByOut):
    """A run; its state is that of its job. `remedy`: what to change where it failed and a change can help."""

    id: int
    name: str
    dataset_version_id: int
    base_model_id: int
    mask_check_id: int
    recipe: str
    recipe_id: int | None
    recipe_version: int | None
    sweep_id: int | None
    config: TrainingConfig
    arrays_hash: str
    mix_version_id: int | None
    mix_check_id: int | None
    mix_arrays_hash: str | None
    confirmed_by: str
    confirmed_by_user_id: int | None
    confirmed_by_token_id: int | None
    override_reason: str | None
    preflight: PreflightRecord | None
    evaluate_with: list[str]
    begins: Beginning | None
    result: RunResult | None
    created_at: datetime
    job: JobOut
    remedy: RemedyOut | None

    @classmethod
    def of(cls, run: Run, job: Job) -> "RunOut":
        """From the stored rows."""
        values = {name: getattr(run, name) for name in cls.model_fields if name not in ("job", "remedy")}
        return cls.model_validate({**values, "job": JobOut.of(job), "remedy": RemedyOut.of(run, job)})


class RunStartedOut(RunOut):
    """A run that was asked to start. `already_started`: an earlier request with the same idempotency key had started it."""

    already_started: bool

    @classmethod
    def answer(cls, run: Run, job: Job, *, created: bool) -> "RunStartedOut":
        """From what came of the request."""
        return cls(**RunOut.of(run, job).model_dump(), already_started=not created)


class PublishedFile(Protocol):
    """A row of a file that a job has published."""

    id: int | None
    name: str
    size_bytes: int
    sha256: str


class ArtifactOut(BaseModel):
    """A published file."""

    id: int
    name: str
    size_bytes: int
    sha256: str

    @classmethod
    def of(cls, file: PublishedFile) -> Self:
        """From the stored row."""
        return cls.model_validate({name: getattr(file, name) for name in cls.model_fields})


class CurvesOut(BaseModel):
    """Columns of equal length, to six digits: what was measured at each logged step, and the held-out loss at its own steps.

    `whole` points were measured; where `step` has fewer, each stretch's lowest and highest are there. Memory in bytes,
    utilisation in percent; the device's are null without a GPU. `checkpoints` are the steps after which one was written.
    `mixed_loss`, on what a second dataset held out, has the steps of `eval_loss`.
    """

    last_seq: int
    whole: int
    step: list[int]
    epoch: list[float | None]
    loss: list[float | None]
    learning_rate: list[float | None]
    grad_norm: list[float | None]
    tokens_per_second: list[float | None]
    memory_bytes: list[float | None]
    host_memory_bytes: list[float | None]
    cpu_utilization: list[float | None]
    device_memory_bytes: list[float | None]
    device_utilization: list[float | None]
    checkpoints: list[int]
    eval_step: list[int]
    eval_loss: list[float | None]
    mixed_loss: list[float | None]

    @classmethod
    def of(cls, curves: Curves) -> "CurvesOut":
        """From points to columns."""
        columns: dict[str, Any] = {
            name: [_in_short(point.get(name)) for point in curves.metrics]
            for name in ("step", *METRIC_FIELDS)
        }
        columns["eval_step"] = [point["step"] for point in curves.evals]
        for name in ("eval_loss", "mixed_loss"):
            columns[name] = [_in_short(point[name]) for point in curves.evals]
        return cls(last_seq=curves.last_seq, whole=curves.whole, checkpoints=curves.checkpoints, **columns)


def _in_short(value: float | None) -> float | None:
    """Six digits, which no chart shows more of; every point by itself has all of them."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


class PointsOut(BaseModel):
    """A page of a run's training points, of `total`: what was measured at each logged step."""

    total: int
    points: list[MetricPayload]


class EvidenceOut(BaseModel):
    """A number that was read from the record, of a step."""

    label: str
    step: int
    value: float


class FindingOut(BaseModel):
    """What is wrong with a run: from `step` on, on the curve `curve`, as seen at `seen_at`.

    `changes` by field are what a new run would have otherwise, ready for `changes` of a start; `new_run` is the form's
    address with them. Texts are in the reader's language, codes in none.
    """

    code: FindingCode
    title: str
    step: int
    seen_at: int
    curve: Literal["loss", "eval_loss"]
    message: str
    evidence: list[EvidenceOut]
    advice: str
    changes: dict[str, str | int | float]
    new_run: str

    @classmethod
    def of(cls, run: Run, finding: Finding) -> "FindingOut":
        """As it is told."""
        return cls(
            code=finding.code,
            title=gettext(finding.title),
            step=finding.step,
            seen_at=finding.seen_at,
            curve=finding.curve,
            message=say(finding.sentence),
            evidence=[
                EvidenceOut(label=gettext(one.label), step=one.step, value=one.value)
                for one in finding.evidence
            ],
            advice=say(finding.advice),
            changes=dict(finding.changes),
            new_run=new_run_address(run, finding),
        )


class DifferenceOut(BaseModel):
    """What differs: a config field's name, or null for data, model and masks; its label; a value for each run."""

    name: str | None
    label: str
    values: list[str]


class ReachedOut(BaseModel):
    """How far a run came; null: not measured. `eval_loss_before` is the held-out loss from before any training. Gaps are to the
    first run; `data` is null where the version is the same."""

    run_id: int
    steps: int
    train_loss: float | None
    eval_loss_before: float | None = None
    best_eval_loss: float | None
    best_step: int | None
    train_loss_gap: float | None = None
    best_eval_loss_gap: float | None = None
    data: Changes | None = None


class ComparedOut(BaseModel):
    """Runs side by side, in the order asked for."""

    runs: list[ReachedOut]
    differences: list[DifferenceOut]

    @classmethod
    def of(
        cls,
        runs: list[Run],
        differences: list[Difference],
        reached: list[Reached],
        data: list[Changes | None],
    ) -> "ComparedOut":
        """From what was found."""
        return cls(
            runs=[
                ReachedOut(
                    run_id=run.id or 0,
                    steps=one.steps,
                    train_loss=one.train_loss,
                    eval_loss_before=one.eval_loss_before,
                    best_eval_loss=one.best_eval_loss,
                    best_step=one.best_step,
                    train_loss_gap=one.gap(reached[0])[0],
                    best_eval_loss_gap=one.gap(reached[0])[1],
                    data=changes,
                )
                for run, one, changes in zip(runs, reached, data, strict=True)
            ],
            differences=[
                DifferenceOut(name=one.name or None, label=one.label, values=one.values)
                for one in differences
            ],
        )
