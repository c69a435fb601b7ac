"""The job that trains, as the web, the worker and its child speak of it; it hands back a RunResult. Loads no database."""

from app.jobs.work import JobInput, JobPayload
from app.recipes.config import TrainingConfig
from app.runs.provenance import Provenance


class TrainPayload(JobPayload):
    """Which run."""

    run_id: int


class TrainInput(JobInput):
    """The arrays' file with the hash of the arrays, and of the file where the mask check kept it; the model's folder and the
    hash of what made the tokens; the config and where everything comes from.

    `resume_from` holds the folders of earlier attempts, where there were any.
    """

    arrays: str
    arrays_hash: str
    arrays_file_hash: str | None = None
    tokenizer_hash: str | None = None
    base_model_path: str
    end_of_turn_id: int | None = None
    config: TrainingConfig
    provenance: Provenance
    resume_from: str | None = None
