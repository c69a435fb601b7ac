"""The job that prepares a base model, as the web, the worker and its child speak of it. Loads no database."""

from app.base_models.facts import ModelFacts
from app.jobs.work import JobInput, JobPayload, JobResult


class PreparePayload(JobPayload):
    """Which model; `tokenizer_only` for previews, which need no weights."""

    base_model_id: int
    tokenizer_only: bool = False


class PrepareInput(JobInput):
    """Where the model comes from: `source` is bundled, hub or local, `reference` a hub id or a folder, `revision` of a
    hub id."""

    source: str
    reference: str = ""
    revision: str | None = None
    tokenizer_only: bool = False


class PreparedModel(JobResult):
    """The folder (absolute, or below the attempt's), what pins its files, and what the weights told, if there are any."""

    path: str
    revision: str | None = None
    facts: ModelFacts | None = None
