"""What REST reads and writes for exports."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from app.accounts.who import CreatedByOut
from app.core.i18n import gettext, say
from app.exports.kinds import Choice, ExportKind
from app.exports.models import HubPush, RunExport, RunExportFile
from app.jobs.models import Job
from app.jobs.schemas import JobOut
from app.runs.schemas import ArtifactOut


class ChoiceValueOut(BaseModel):
    """One value of a choice, with its words in the reader's language."""

    value: str
    label: str


class ChoiceOut(BaseModel):
    """What may be chosen of a kind."""

    name: str
    label: str
    default: str
    values: list[ChoiceValueOut]

    @classmethod
    def of(cls, choice: Choice) -> "ChoiceOut":
        """In the reader's language."""
        values = [ChoiceValueOut(value=value, label=gettext(label)) for value, label in choice.values]
        return cls(name=choice.name, label=gettext(choice.label), default=choice.default, values=values)


class ExportKindOut(BaseModel):
    """What a run can be exported as. `carries_data`: dialogues of the version are among the files."""

    name: str
    title: str
    text: str
    carries_data: bool
    choices: list[ChoiceOut]

    @classmethod
    def of(cls, kind: ExportKind) -> "ExportKindOut":
        """In the reader's language."""
        return cls(
            name=kind.name,
            title=gettext(kind.title),
            text=gettext(kind.text),
            carries_data=kind.carries_data,
            choices=[ChoiceOut.of(choice) for choice in kind.choices],
        )


class ExportIn(BaseModel):
    """Ask for an export. Choices that are not named take their defaults."""

    model_config = ConfigDict(extra="forbid")

    kind: str = Field(max_length=40)
    choices: dict[str, str] = Field(default_factory=dict, max_length=20)


class ExportFileOut(ArtifactOut):
    """A file of an export."""


class ExportOut(CreatedByOut):
    """An export; its state is that of its job. `notes` and `files` are there once it has succeeded."""

    id: int
    run_id: int
    kind: str
    choices: dict[str, str]
    version_hash: str
    created_at: datetime
    notes: list[str]
    files: list[ExportFileOut]
    job: JobOut

    @classmethod
    def of(cls, export: RunExport, job: Job, files: Sequence[RunExportFile]) -> "ExportOut":
        """From the stored rows, notes in the reader's language."""
        own = ("notes", "files", "job")
        values = {name: getattr(export, name) for name in cls.model_fields if name not in own}
        notes = [say(note.sentence) for note in export.result.notes] if export.result else []
        return cls.model_validate(
            {
                **values,
                "notes": notes,
                "files": [ExportFileOut.of(file) for file in files],
                "job": JobOut.of(job),
            }
        )


class PushIn(BaseModel):
    """Push an export's files to `repository`, owner/name on the hub. `private`: nobody else sees it; a public one that is there already
    is then refused.
    """

    model_config = ConfigDict(extra="forbid")

    repository: str = Field(max_length=200)
    private: bool = True


class PushOut(CreatedByOut):
    """A push; its state is that of its job. `url` and `commit` are there once it has succeeded."""

    id: int
    export_id: int
    repository: str
    private: bool
    url: str | None
    commit: str | None
    created_at: datetime
    job: JobOut

    @classmethod
    def of(cls, push: HubPush, job: Job) -> "PushOut":
        """From the stored rows."""
        own = ("url", "commit", "job")
        values = {name: getattr(push, name) for name in cls.model_fields if name not in own}
        done = push.result
        return cls.model_validate(
            {
                **values,
                "url": done.url if done else None,
                "commit": done.commit if done else None,
                "job": JobOut.of(job),
            }
        )
