"""The job that trains, as the web, the worker and its child speak of it; it hands back a RunResult. Loads no database."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator

from app.interop.launching import Launch
from app.jobs.work import JobInput, JobPayload
from app.recipes.config import TrainingConfig, parse_config
from app.runs.beginning import BeginAt
from app.runs.provenance import Provenance
from app.runs.result import Pieces


class TrainPayload(JobPayload):
    """Which run."""

    run_id: int


def _judged(values: object) -> object:
    """The config as at every door: a field of it is refused in the same words. Raises Invalid."""
    return parse_config(values) if isinstance(values, Mapping) else values


class BackendPlace(JobInput):
    """Where the program is that trains instead of the studio: its interpreter, and the version found there."""

    python: str
    version: str


class MixedIn(JobInput):
    """The arrays' file of a second dataset, with the hash of the arrays, and of the file where the mask check kept it."""

    arrays: str
    arrays_hash: str
    arrays_file_hash: str | None = None


class TrainInput(JobInput):
    """The arrays' file with the hash of the arrays, and of the file where the mask check kept it; the model's folder and the
    hash of what made the tokens; the config and where everything comes from. `mixed_in` as `config` says how much of it.

    `backend` is given where the config names one, `launch` where that is started with a file of accelerate.
    `resume_from` holds the folders of earlier attempts, where there were any;
    with `save_at_once` their newest checkpoint becomes the result without another step. `begin` is what the run begins from
    where that is not the base model; `pieces` computed the run that this one repeats.
    """

    arrays: str
    arrays_hash: str
    arrays_file_hash: str | None = None
    mixed_in: MixedIn | None = None
    tokenizer_hash: str | None = None
    base_model_path: str
    end_of_turn_id: int | None = None
    config: Annotated[TrainingConfig, BeforeValidator(_judged)]
    provenance: Provenance
    backend: BackendPlace | None = None
    launch: Launch | None = None
    resume_from: str | None = None
    save_at_once: bool = False
    begin: BeginAt | None = None
    pieces: Pieces | None = None
