"""What REST reads and writes of the plan of a run that has not started."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from app.core.i18n import say
from app.jobs.devices import ANY
from app.mask_checks.models import MaskCheck
from app.recipes.advice import Task
from app.recipes.config import TrainingConfig
from app.recipes.fields import changes_schema
from app.recipes.memory import Fits
from app.runs.beginning import Beginning
from app.runs.pace import Pace
from app.runs.planning import MemoryPlan, Plan
from app.runs.preflight.schemas import ACCEPTED, AcceptedNames, PreflightItemOut
from app.runs.service import RunRequest

MixCheckId = Annotated[
    int | None,
    Field(
        description="The mask check of a second dataset version, for the same base model with the same settings: "
        "`mix_share` of the conversations that are trained are drawn from it."
    ),
]


class AskedIn(BaseModel):
    """What a plan and a start are asked alike: the config, what is mixed in, what it begins with, and what the pre-flight wants
    to know.
    """

    model_config = ConfigDict(extra="forbid")

    recipe: str = "standard"
    # Told in the document; judged where the command line's and the form's are, in the same words.
    changes: Annotated[dict[str, Any], WithJsonSchema(changes_schema())] = Field(
        default_factory=dict,
        description="Changes to the recipe's config, spelled as TRL and PEFT spell them.",
    )
    mix_check_id: MixCheckId = None
    init_adapter: int | None = Field(
        default=None,
        description="A run whose adapter this one begins with, in place of a fresh one: its base model and shape hold here.",
    )
    override_reason: str = Field(default="", max_length=1000)
    evaluate_with: list[str] = Field(default_factory=list, max_length=10)
    accepted_warnings: AcceptedNames = Field(default_factory=list, description=ACCEPTED)
    device: str = Field(
        default=ANY,
        max_length=20,
        description="Where it may be trained: any, cpu, cuda, or one GPU such as cuda:1.",
    )


class StartIn(AskedIn):
    """What the start of one run and of several are asked. `mask_check_id` names version, model and mask settings at once."""

    mask_check_id: int
    confirmed: bool = False

    def request(self, key: str, name: str = "") -> RunRequest:
        """As the service takes it, under this idempotency key."""
        return RunRequest(
            mask_check_id=self.mask_check_id,
            recipe=self.recipe,
            changes=self.changes,
            name=name,
            confirmed=self.confirmed,
            override_reason=self.override_reason,
            evaluate_with=tuple(self.evaluate_with),
            idempotency_key=key,
            accepted_warnings=tuple(self.accepted_warnings),
            device=self.device,
            init_adapter=self.init_adapter,
            mix_check_id=self.mix_check_id,
        )


class PlanIn(AskedIn):
    """What would be started. Without a mask check the newest finished one of version and model is gone by."""

    dataset_version_id: int
    base_model_id: int
    mask_check_id: int | None = None
    mix_version_id: int | None = Field(
        default=None,
        description="A second dataset version that is mixed in; without `mix_check_id` by its newest finished check.",
    )
    task: Task | None = Field(
        default=None, description="What the model is to learn: advice on the rank needs it."
    )
    # As at the start, for the pre-flight alone; null: nobody is asked yet.
    confirmed: bool | None = None


class AdviceOut(BaseModel):
    """A value for one field, why, and the rule that says so."""

    field: str
    value: str
    why: str
    rule: str


class MemoryOut(BaseModel):
    """Bytes: needed at the peak, free now (null on another machine, whose workers do not tell), and all that the device has."""

    needed_bytes: int
    free_bytes: int | None
    total_bytes: int
    device: str
    fits: Fits

    @classmethod
    def of(cls, memory: MemoryPlan) -> "MemoryOut":
        """From what was estimated."""
        return cls(
            needed_bytes=memory.needed,
            free_bytes=memory.device.free if memory.device.knows_free else None,
            total_bytes=memory.device.memory,
            device=memory.device.title,
            fits=memory.fits,
        )


class MixOut(BaseModel):
    """What an epoch has of the second dataset: `conversations` drawn from `available` (more than there are: some are
    trained again); their share of all, and of the trained tokens, 0 to 1, null before both checks are done.
    """

    conversations: int
    available: int
    share: float
    trained_share: float | None


class TakesOut(BaseModel):
    """What a run would take, or several together; null where nothing tells it. `seconds` as fast as `as_run` was. `may_start`: the
    pre-flight has no error, and no warning that is not accepted.
    """

    steps: int
    seconds: float | None
    as_run: int | None
    disk_bytes: int | None
    memory: MemoryOut | None
    may_start: bool


class PlanOut(TakesOut):
    """How long a run would be, what it would take, and what to set otherwise. `tokens` pass the model over all epochs,
    `trained_tokens` of them are in the loss: counted where `tokens_exact`, else by the mean of a sample, as where a pass is not whole
    or what is mixed in is still to be drawn; `begins` is the adapter that it would begin with, null from the base model.
    """

    config: TrainingConfig
    begins: Beginning | None
    mask_check_id: int | None
    samples: int
    samples_per_step: int
    steps_per_epoch: int
    epochs: float
    tokens: int | None
    trained_tokens: int | None
    tokens_exact: bool
    mix: MixOut | None
    advice: list[AdviceOut]
    notes: list[str]
    warnings: list[str]
    preflight: list[PreflightItemOut]

    @classmethod
    def of(
        cls,
        plan: Plan,
        pace: Pace | None,
        check: MaskCheck | None,
        preflight: list[PreflightItemOut],
        begins: Beginning | None = None,
    ) -> "PlanOut":
        """In the reader's language. The plan is of a version, without errors."""
        assert plan.config is not None
        assert plan.estimate is not None
        memory = plan.memory
        return cls(
            config=plan.config,
            begins=begins,
            mask_check_id=check.id if check else None,
            samples=plan.estimate.samples,
            samples_per_step=plan.estimate.batch,
            steps_per_epoch=plan.estimate.steps_per_epoch,
            steps=plan.estimate.steps,
            epochs=round(plan.epochs, 4),
            tokens=plan.tokens.all if plan.tokens else None,
            trained_tokens=plan.tokens.trained if plan.tokens else None,
            tokens_exact=bool(plan.tokens and plan.tokens.exact),
            seconds=_seconds(plan, pace),
            as_run=pace.run_id if pace else None,
            disk_bytes=plan.disk,
            memory=MemoryOut.of(memory) if memory else None,
            mix=plan.mix and MixOut(**vars(plan.mix)),
            advice=[
                AdviceOut(field=one.field, value=one.value, why=say(one.sentence), rule=say(one.rule))
                for one in plan.advice
            ],
            notes=[say(one) for one in plan.notes],
            warnings=[say(one) for one in plan.warnings],
            preflight=preflight,
            may_start=all(one.lets_start for one in preflight),
        )


def _seconds(plan: Plan, pace: Pace | None) -> float | None:
    budget = plan.minutes * 60 or None
    found = [value for value in (pace.seconds if pace else None, budget) if value is not None]
    return min(found, default=None)
