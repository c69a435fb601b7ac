"""A run's exports as its page shows them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from sqlmodel import Session

from app.base_models.service import require_base_model
from app.core.settings import Settings
from app.exports.hub import endpoint
from app.exports.kinds import BY_NAME, ExportKind, kinds_of
from app.exports.models import HubPush, RunExport, RunExportFile
from app.exports.pushing import TOKEN_SETTING, may_be_pushed, pushes_of
from app.exports.service import files_of, list_exports
from app.exports.snippets import Snippet, hub, snippets_of
from app.jobs.events import EventKind, EventPayload
from app.jobs.models import Job
from app.jobs.newest import last_events
from app.mask_checks.service import require_mask_check
from app.runs.handler import provenance_of
from app.runs.models import Run
from app.runs.service import run_job


@dataclass(frozen=True)
class Line:
    """One export; `progress` is its newest event of that kind, while it is being made."""

    export: RunExport
    job: Job
    files: list[RunExportFile]
    progress: EventPayload | None
    snippets: list[Snippet]
    pushes: list[tuple[HubPush, Job]]
    may_be_pushed: bool

    @property
    def is_under_way(self) -> bool:
        """Whether it is being made or pushed."""
        return not self.job.is_final or any(not job.is_final for _push, job in self.pushes)

    @property
    def title(self) -> str:
        """The kind's title, untranslated; of a kind that an earlier program knew, its name."""
        kind = BY_NAME.get(self.export.kind)
        return kind.title if kind else self.export.kind

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(file.size_bytes for file in self.files)

    @property
    def chosen(self) -> list[tuple[str, str]]:
        """What was chosen, untranslated: the choice, empty where the value speaks for itself, and the value. What another trainer gets
        anyway is left out.
        """
        kind = BY_NAME.get(self.export.kind)
        if kind is None:
            return [("", value) for value in self.export.choices.values()]
        given = self.export.choices
        return [
            (choice.label if kind.carries_data else "", dict(choice.values).get(value, value))
            for choice in kind.choices
            if (value := given.get(choice.name)) is not None
            and not (kind.carries_data and value == choice.default)
        ]


class RunExports(TypedDict):
    """What `exports/_section.html` reads beside the run."""

    export_kinds: Sequence[ExportKind]
    exports: list[Line]
    run_is_over: bool
    # The hub that the server pushes to; None where it has no token for one.
    hub: str | None
    hub_setting: str


class ExportsOfRun:
    """What runs show of their exports."""

    def __init__(self, settings: Settings) -> None:
        self._hub = endpoint() if settings.hub_token.get_secret_value() else None

    def of_run(self, session: Session, run: Run) -> RunExports:
        """Kinds to choose from, and what was made."""
        found = list_exports(session, run.id or 0)
        files = files_of(session, [export.id or 0 for export, _job in found])
        pushes = pushes_of(session, [export.id or 0 for export, _job in found])
        events = last_events(session, [job.id or 0 for _export, job in found], (EventKind.PROGRESS,))
        lines = [
            Line(
                export,
                job,
                files.get(export.id or 0, []),
                events.get((job.id or 0, EventKind.PROGRESS)),
                _snippets(session, run, export, files.get(export.id or 0, [])),
                pushes.get(export.id or 0, []),
                may_be_pushed(export.kind),
            )
            for export, job in found
        ]
        return {
            "export_kinds": kinds_of(run.config, run.begins) if run.adapter_key else (),
            "exports": lines,
            "run_is_over": run_job(session, run).is_final,
            "hub": self._hub,
            "hub_setting": TOKEN_SETTING,
        }


def _snippets(session: Session, run: Run, export: RunExport, files: list[RunExportFile]) -> list[Snippet]:
    if not files:
        return []
    model = require_base_model(session, run.base_model_id)
    provenance = provenance_of(session, run, require_mask_check(session, run.mask_check_id), model)
    folder = f"run-{run.id}-{export.kind}"
    found = snippets_of(
        export.kind, provenance, run.config, [file.name for file in files], folder, run.launch
    )
    kind = BY_NAME.get(export.kind)
    # Dialogues are nothing to offer the whole world with one line.
    return [*found, hub(provenance, folder)] if kind is not None and not kind.carries_data else found
