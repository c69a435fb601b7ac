"""Several runs side by side: what they were made of and trained with where they differ, and how far each came. The others are
held against the first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlmodel import Session

from app.core.database import let_go
from app.core.errors import Invalid
from app.core.i18n import gettext
from app.core.storage import Storage
from app.mask_settings.words import settings_in_words
from app.recipes.fields import FIELDS, displayed
from app.runs.beginning_words import beginning_words
from app.runs.changes import base_of
from app.runs.lineage import lineage_of
from app.runs.losses import read_losses
from app.runs.mixing import MixedIn
from app.runs.models import Run
from app.runs.service import require_run, run_job
from app.sentences import N_
from app.versions.changes import Changes, changes_of
from app.versions.service import require_version

MOST_COMPARED: Final = 4


@dataclass(frozen=True)
class Difference:
    """What differs: its name as TRL and PEFT spell it (empty for what is no field), what people call it, a value a run."""

    name: str
    label: str
    values: list[str]


@dataclass(frozen=True)
class Reached:
    """Where a run came to: its last training loss, its held-out loss before any training, its best one after some and the step
    of that; None: not measured."""

    steps: int
    train_loss: float | None
    eval_loss_before: float | None
    best_eval_loss: float | None
    best_step: int | None

    def gap(self, first: "Reached") -> tuple[float | None, float | None]:
        """Of training loss and best held-out loss, this run's minus the first one's."""
        return (_minus(self.train_loss, first.train_loss), _minus(self.best_eval_loss, first.best_eval_loss))


def _minus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def require_runs(session: Session, run_ids: Sequence[int]) -> list[Run]:
    """The runs, each once, in the order asked for. Raises Invalid for too few or too many, NotFound for a missing one."""
    chosen = list(dict.fromkeys(run_ids))
    if not 2 <= len(chosen) <= MOST_COMPARED:
        raise Invalid(N_("Choose 2 to %(most)d runs to compare."), field="run", most=MOST_COMPARED)
    return [require_run(session, run_id) for run_id in chosen]


def differences(session: Session, runs: Sequence[Run]) -> list[Difference]:
    """What is not the same in all of them: data, model and masks first, then fields of the config in the form's order."""
    made_of = [_made_of(session, run) for run in runs]
    configs = [displayed(run.config) for run in runs]
    rows = [Difference("", label, [one[label] for one in made_of]) for label in made_of[0]]
    rows += [
        Difference(name, gettext(field.label), [config[name] for config in configs])
        for name, field in FIELDS.items()
    ]
    return [row for row in rows if len(set(row.values)) > 1]


def data_changes(session: Session, storage: Storage, runs: Sequence[Run]) -> list[Changes | None]:
    """By run, what came, changed and went of the conversations since the first one's version; None for the same version.

    Lets the connection go, for versions are read. Raises Conflict where a version's file is gone or damaged.
    """
    versions = [require_version(session, run.dataset_version_id) for run in runs]
    let_go(session)
    first = versions[0]
    return [None if one.id == first.id else changes_of(storage, first, one) for one in versions]


def _made_of(session: Session, run: Run) -> dict[str, str]:
    lineage = lineage_of(session, run)
    found, model = lineage["version"], lineage["model"]
    version = f"{lineage['dataset'].name} v{found.number} · sha256 {found.content_hash[:12]}"
    return {
        gettext(N_("Dataset version")): version,
        gettext(N_("Mixed in")): _mixed_in(lineage["mixed_in"]),
        gettext(N_("Base model")): f"{model.name} @ {model.revision[:12]}" if model.revision else model.name,
        gettext(N_("Trained arrays")): _arrays(run),
        **_computed_with(run),
        gettext(N_("Config of accelerate")): _launch(run),
        gettext(N_("Begins from")): beginning_words(run),
        gettext(N_("Recipe")): base_of(run).said,
        gettext(N_("Accepted warnings")): ", ".join(run.preflight.names) if run.preflight else "",
        **{said.label: said.text for said in settings_in_words(lineage["check"].settings.to_settings())},
    }


def _mixed_in(found: MixedIn | None) -> str:
    if found is None:
        return ""
    return f"{found.dataset.name} v{found.version.number} · sha256 {found.version.content_hash[:12]}"


def _arrays(run: Run) -> str:
    found = [run.arrays_hash, *([run.mix_arrays_hash] if run.mix_arrays_hash else [])]
    return f"sha256 {' + '.join(digest[:12] for digest in found)}"


def _launch(run: Run) -> str:
    return f"{run.launch.name} · sha256 {run.launch.sha256[:12]}" if run.launch else ""


def _computed_with(run: Run) -> dict[str, str]:
    """Device and libraries, known of runs that have ended."""
    known = run.result.environment if run.result else None
    libraries = (
        ", ".join(f"{name} {version}" for name, version in sorted(known.libraries.items())) if known else ""
    )
    return {
        gettext(N_("Device")): known.device if known else "",
        gettext(N_("Threads")): str(known.threads) if known else "",
        gettext(N_("Libraries")): f"Python {known.python}, {libraries}" if known else "",
    }


def reached(session: Session, run: Run) -> Reached:
    """By the curves so far."""
    told = read_losses(session, run_job(session, run))
    losses = [point.loss for point in told.train if point.loss is not None]
    best, step = told.best or (None, None)
    steps = told.train[-1].step if told.train else 0
    return Reached(steps, losses[-1] if losses else None, told.before, best, step)
