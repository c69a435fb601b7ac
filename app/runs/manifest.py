"""Everything that a run's numbers follow from, in one document: who repeats it elsewhere needs nothing else."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel
from sqlmodel import Session

from app.interop.launching import Launch
from app.mask_settings.fields import MaskSettingsIn
from app.recipes.config import TrainingConfig
from app.runs.beginning import Beginning
from app.runs.environment import Environment
from app.runs.handler import provenance_of
from app.runs.lineage import lineage_of
from app.runs.models import Run
from app.runs.preflight.documents import PreflightRecord
from app.runs.provenance import Provenance
from app.runs.result import MixedResult
from app.runs.tracking_schemas import TrackedIn


class Manifest(BaseModel):
    """Hashes are sha256: in `provenance` of the frozen dialogues and of the arrays with ids and labels, `tokenizer_hash` of
    what made the tokens. `mask_settings` are what decided which are trained; `begins` is the checkpoint or adapter that it
    began from in place of the base model; `environment` is null until a run has ended, and of runs of earlier programs; `mix`
    until a run with a second dataset has ended. `recipe_settings` are what the own recipe set when the run was started, null for
    a built-in one. `launch` is the file of accelerate that it was started with, null without one.
    `preflight` is how the list stood at the start, with who accepted which warning. Losses in nats a trained
    token. `trackers` are those that were told of the run, with its id and address there.
    """

    schema_version: Literal[1] = 1
    provenance: Provenance
    mask_settings: MaskSettingsIn
    tokenizer_hash: str | None
    base_model_source: str
    base_model_reference: str
    base_model_revision: str | None
    begins: Beginning | None
    recipe_settings: Mapping[str, object] | None
    config: TrainingConfig
    launch: Launch | None
    seed: int
    preflight: PreflightRecord | None
    environment: Environment | None
    mix: MixedResult | None
    steps: int | None
    precision: str | None
    train_loss: float | None
    eval_loss: float | None
    trackers: list[TrackedIn] = []


def manifest_of(session: Session, run: Run) -> Manifest:
    """As far as it is known."""
    lineage, result = lineage_of(session, run), run.result
    check, model = lineage["check"], lineage["model"]
    return Manifest(
        provenance=provenance_of(session, run, check, model),
        mask_settings=check.settings,
        tokenizer_hash=check.report.tokenizer_hash if check.report else None,
        base_model_source=model.source.value,
        base_model_reference=model.reference,
        base_model_revision=model.revision,
        begins=run.begins,
        recipe_settings=run.recipe_settings.values if run.recipe_settings else None,
        config=run.config,
        launch=run.launch,
        seed=run.config.seed,
        preflight=run.preflight,
        environment=result.environment if result else None,
        mix=result.mix if result else None,
        steps=result.steps if result else None,
        precision=result.plan.precision if result and result.plan else None,
        train_loss=result.train_loss if result else None,
        eval_loss=result.eval_loss if result else None,
        trackers=TrackedIn.of_run(session, run.id or 0),
    )
