"""The job that exports, as the web, the worker and its child speak of it. Loads no database."""

from typing import Literal

from pydantic import BaseModel, Field

from app.checklists.lines import ChecklistLine
from app.core.stored_models import Told
from app.interop.launching import Launch
from app.jobs.work import JobInput, JobPayload, JobResult
from app.mask_settings.fields import MaskSettingsIn
from app.recipes.config import TrainingConfig
from app.runs.provenance import Provenance
from app.runs.result import RunResult
from app.scoring.verdict import SuiteCounts


class ExportPayload(JobPayload):
    """Which export."""

    export_id: int


class SuiteScore(SuiteCounts):
    """A run's newest evaluation on a suite, in English: the verdict in a word, and what it was counted from."""

    title: str
    verdict: str


class HeldOut(BaseModel):
    """Losses on what was held out, in nats a trained token."""

    base: float
    tuned: float


class Earlier(BaseModel):
    """Losses on what was held out, of the run `run_id` that this one began from and of this one, in nats a trained token."""

    run_id: int
    before: float
    after: float


class Scores(BaseModel):
    """What is known of how good a run is when it is exported."""

    earlier: Earlier | None = None
    suites: list[SuiteScore] = Field(default_factory=list)
    held_out_loss: HeldOut | None = None
    checklist: list[ChecklistLine] = Field(default_factory=list)


class ExportInput(JobInput):
    """All that a kind may write of a run. Paths are absolute: the adapter's folder, the base model's folder (weights in
    safetensors, tokenizer, template), the frozen version as JSON Lines (sha256 `version_hash`), the arrays that were
    trained, those of a dataset that is mixed in. `launch` is the file of accelerate that
    the run was started with; `quantizer_path` what the setting of llama.cpp's quantizer names. `choices` are those of the kind;
    `base_dtype` is how the base model's weights are stored.
    """

    kind: str
    choices: dict[str, str] = Field(default_factory=dict)
    adapter_path: str
    base_model_path: str
    base_dtype: str | None = None
    version_file: str
    version_hash: str
    arrays_path: str | None = None
    mixed_in_path: str | None = None
    mask_settings: MaskSettingsIn
    end_of_turn: str | None = None
    end_of_turn_id: int | None = None
    config: TrainingConfig
    launch: Launch | None = None
    provenance: Provenance
    result: RunResult
    scores: Scores = Field(default_factory=Scores)
    quantizer_path: str | None = None


class ExportResult(JobResult):
    """`folder` holds the files, below the attempt's own; `notes` say what whoever uses them should know."""

    schema_version: Literal[1] = 1
    folder: str
    notes: list[Told] = Field(default_factory=list)


class PushPayload(JobPayload):
    """Which push."""

    push_id: int


class PushedFile(BaseModel):
    """A file as it was made; `name` is its place in the folder and in the repository."""

    name: str
    size_bytes: int
    sha256: str


class PushInput(JobInput):
    """A finished export's files, in an absolute folder, and where they go. The token is in the environment of the worker alone."""

    folder: str
    files: list[PushedFile]
    repository: str
    private: bool
    message: str


class PushResult(JobResult):
    """Where the files can be looked at, and the commit that they are of."""

    schema_version: Literal[1] = 1
    url: str
    commit: str
