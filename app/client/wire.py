"""Shapes of the server's answers that the command line relies on. Answers may hold more than is named here."""

from typing import Any, TypedDict

FINAL_STATES = frozenset({"succeeded", "failed", "cancelled"})


class Job(TypedDict):
    """Work that a worker does."""

    id: int
    kind: str
    state: str
    status: str
    error: str | None


class Event(TypedDict, total=False):
    """Something that happened to a job; further keys depend on `kind`."""

    seq: int
    kind: str
    at: str
    phase: str
    state: str
    step: int
    total_steps: int
    eta_seconds: float | None
    epoch: float | None
    loss: float | None
    eval_loss: float | None
    level: str
    message: str
    variant: str
    prompt_key: str


class Dataset(TypedDict):
    """A dataset with its counts."""

    id: int
    name: str
    draft: int
    approved: int
    rejected: int


class ImportRemark(TypedDict):
    """Why one line did not come in, or what came in otherwise than it stood there."""

    line: int
    code: str
    message: str
    member: str


class ImportReport(TypedDict):
    """What one file brought in."""

    id: int | None
    dataset_id: int | None
    filename: str
    format: str
    accepted: int
    duplicates: int
    problem_count: int
    problems: list[ImportRemark]
    note_count: int
    notes: list[ImportRemark]


class ReviewReport(TypedDict):
    """What a review of many conversations changed."""

    changed: int
    refused: list[dict[str, Any]]


class Version(TypedDict):
    """A frozen version of a dataset."""

    id: int
    dataset_id: int
    number: int
    train_count: int
    validation_count: int


class BaseModel(TypedDict):
    """A base model and the job that prepares it."""

    id: int
    name: str
    source: str
    reference: str
    is_ready: bool
    info: dict[str, Any]
    job: Job | None


class Recipe(TypedDict):
    """A recipe and the config that it stands for."""

    name: str
    config: dict[str, Any]


class MaskCheck(TypedDict):
    """The masks of a version for a model, checked."""

    id: int
    dataset_version_id: int
    base_model_id: int
    passed: bool | None
    report: dict[str, Any] | None
    job: Job


class Run(TypedDict):
    """A fine-tune."""

    id: int
    name: str
    dataset_version_id: int
    base_model_id: int
    mask_check_id: int
    recipe: str
    config: dict[str, Any]
    result: dict[str, Any] | None
    job: Job


class Evaluation(TypedDict):
    """A run judged on a suite."""

    id: int
    run_id: int
    suite_name: str
    summary: dict[str, Any] | None
    job: Job
