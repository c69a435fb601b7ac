"""What there is to tell of a run: how it begins, what was measured, how it ended. Reads the database; opens no file while it does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlmodel import Session, col, select

from app.core.settings import Settings
from app.core.storage import Storage
from app.exports.card import CARD, PROVENANCE
from app.jobs.models import Job, JobEvent
from app.jobs.newest import not_taken_back
from app.mask_settings.fields import write_settings
from app.recipes.fields import display
from app.runs.artifacts import artifacts
from app.runs.figures import FIGURE_KINDS, figures_of
from app.runs.handler import provenance_of
from app.runs.lineage import lineage_of
from app.runs.manifest import manifest_of
from app.runs.models import Run
from app.sentences import Failure
from app.trackers.tracker import Ending, Point, RunTold, SentFile

_MANIFEST_FILE: Final = "manifest.json"
# Of the files that a run published: the card for people, and the same facts for programs.
_SENT: Final = (CARD, PROVENANCE)
# More is no description any more.
_LARGEST_BYTES: Final = 5 * 2**20


def flattened(values: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Every value by its path, with dots between, as text."""
    found: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= flattened(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = display(value)
    return found


def beginning_of(session: Session, run: Run, job: Job, key: str, settings: Settings) -> RunTold:
    """The run as it begins; `key` is to find it by."""
    lineage = lineage_of(session, run)
    made_of = provenance_of(session, run, lineage["check"], lineage["model"])
    url = f"{settings.public_url.rstrip('/')}/runs/{run.id}" if settings.public_url else None
    tags = {
        "sft_studio.run": str(run.id),
        "sft_studio.key": key,
        "sft_studio.url": url,
        "sft_studio.dataset": made_of.dataset,
        "sft_studio.version": str(made_of.version),
        "sft_studio.version_hash": made_of.version_hash,
        "sft_studio.mask_hash": run.arrays_hash,
        "sft_studio.mix_mask_hash": run.mix_arrays_hash,
        "sft_studio.base_model": made_of.base_model,
        "sft_studio.base_revision": made_of.base_revision,
        "sft_studio.recipe": run.recipe,
        "sft_studio.sweep": str(run.sweep_id) if run.sweep_id else None,
        "sft_studio.started_by": run.created_by,
    }
    about = f"Run {run.id} of SFT Studio: {made_of.dataset} v{made_of.version} on {made_of.base_model}"
    return RunTold(
        key=key,
        name=run.name,
        started_at=job.started_at or run.created_at,
        started_by=run.created_by,
        params=flattened(
            {**run.config.to_json(), "mask": write_settings(lineage["check"].settings.to_settings())}
        ),
        tags={name: value for name, value in tags.items() if value},
        note=f"{about}. {url}" if url else f"{about}.",
        url=url,
    )


@dataclass(frozen=True)
class Page:
    """Points of a run, in order of its events; with `seq` all is told up to that one."""

    points: Sequence[Point]
    seq: int
    is_last: bool


def points_after(session: Session, job: Job, seq: int, most: int) -> Page:
    """The next so many, without what a later attempt has taken back by now: no tracker can take a step back that it was told."""
    until = job.event_count
    statement = (
        select(JobEvent)
        .where(
            JobEvent.job_id == job.id,
            col(JobEvent.kind).in_(FIGURE_KINDS),
            col(JobEvent.seq) > seq,
            col(JobEvent.seq) <= until,
            *not_taken_back(session, job.id or 0),
        )
        .order_by(col(JobEvent.seq))
        .limit(most)
    )
    events = session.exec(statement).all()
    points = [
        Point(int(event.payload["step"]), event.created_at, figures)
        for event in events
        if (figures := figures_of(event.kind, event.payload))
    ]
    is_last = len(events) < most
    return Page(points, until if is_last else events[-1].seq, is_last)


@dataclass(frozen=True)
class Ended:
    """An ending whose files are not read yet: their names, and where they lie."""

    job: Job
    manifest: bytes
    files: Mapping[str, str]


def ending_of(session: Session, run: Run, job: Job) -> Ended:
    """What is known of a run that has ended."""
    published = artifacts(session, run.id or 0)
    return Ended(
        job=job,
        manifest=manifest_of(session, run).model_dump_json(indent=1).encode() + b"\n",
        files={one.name: one.storage_key for one in published if one.name in _SENT},
    )


def read_ending(ended: Ended, storage: Storage) -> Ending:
    """With the files, as far as they are there. Called without a connection."""
    files = [SentFile(_MANIFEST_FILE, ended.manifest)]
    for name, key in sorted(ended.files.items()):
        path = storage.path(key)
        if path.is_file() and path.stat().st_size <= _LARGEST_BYTES:
            files.append(SentFile(name, path.read_bytes()))
    job = ended.job
    failure = Failure.from_json(job.failure).sentence.english() if job.failure else None
    return Ending(job.state, job.finished_at or job.created_at, failure, files)
