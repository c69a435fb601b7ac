"""A second dataset beside a run's own: which mask check stands for it, and what may be mixed."""

from dataclasses import dataclass
from typing import Final, TypedDict

from sqlmodel import Session

from app.core.errors import Conflict, Invalid
from app.datasets.models import Dataset
from app.jobs.models import Job
from app.jobs.service import require_job
from app.mask_checks.models import MaskCheck
from app.mask_checks.service import require_mask_check
from app.masking import drawn_count
from app.recipes.config import TrainingConfig
from app.recipes.mixing import CURRICULUM
from app.runs.models import Run
from app.runs.provenance import DataProvenance, MixedInProvenance
from app.sentences import N_
from app.versions.models import DatasetVersion
from app.versions.service import require_version

SAME_VERSION: Final = N_("A version cannot be mixed in with itself: choose one of another dataset.")


class MixColumns(TypedDict):
    """What a run's row has of a second dataset; all three or none."""

    mix_version_id: int | None
    mix_check_id: int | None
    mix_arrays_hash: str | None


@dataclass(frozen=True)
class Beside:
    """A dataset version that is mixed in, and its mask check with that one's job, where they are known."""

    version: DatasetVersion
    check: MaskCheck | None
    job: Job | None = None


@dataclass(frozen=True)
class MixedIn:
    """What a run had mixed in."""

    dataset: Dataset
    version: DatasetVersion
    check: MaskCheck


def require_fitting(check: MaskCheck, beside: MaskCheck) -> None:
    """Raises Invalid where the two checks are not of two versions, masked alike for the same base model."""
    if beside.dataset_version_id == check.dataset_version_id:
        raise Invalid(SAME_VERSION, field="mix_check_id")
    if beside.base_model_id != check.base_model_id:
        raise Invalid(
            N_(
                "Mask check %(id)d is for another base model: what is mixed in must be checked for the one that is trained."
            ),
            field="mix_check_id",
            id=beside.id,
        )
    if beside.settings_key != check.settings_key:
        raise Invalid(
            N_(
                "Mask check %(id)d has other mask settings: what is mixed in must be checked with those of the first dataset."
            ),
            field="mix_check_id",
            id=beside.id,
        )


def columns_of_mix(beside: MaskCheck | None) -> MixColumns:
    """Of a run's row."""
    if beside is None:
        return {"mix_version_id": None, "mix_check_id": None, "mix_arrays_hash": None}
    return {
        "mix_version_id": beside.dataset_version_id,
        "mix_check_id": beside.id,
        "mix_arrays_hash": beside.arrays_hash,
    }


def require_some(beside: DatasetVersion, *, field: str = "mix_check_id") -> None:
    """Raises Conflict where nothing of it could be drawn."""
    if not beside.train_count:
        raise Conflict(
            N_("The version to mix in has no conversation to train on: all are held out."),
            field=field,
        )


def read_beside(session: Session, check: MaskCheck, mix_check_id: int | None) -> Beside | None:
    """What a request mixes in, by its mask check. Raises Invalid or Conflict where it does not fit to the first check."""
    if mix_check_id is None:
        return None
    beside = require_mask_check(session, mix_check_id)
    require_fitting(check, beside)
    version = require_version(session, beside.dataset_version_id)
    require_some(version)
    return Beside(version, beside, require_job(session, beside.job_id))


@dataclass(frozen=True)
class MixPlan:
    """Of an epoch: `conversations` that are mixed in, drawn from `available`; their `share` of all, and what they have of the
    trained tokens (0 to 1), None before both checks are done.
    """

    conversations: int
    available: int
    share: float
    trained_share: float | None

    @property
    def is_repeated(self) -> bool:
        """Whether some are trained more than once an epoch."""
        return self.conversations > self.available


@dataclass(frozen=True)
class EpochPlan:
    """One pass over what is going to be trained; `mixed_samples` of its samples are mixed in. Tokens are None before the checks are
    done.
    """

    samples: int
    tokens: int | None
    trained_tokens: int | None
    mix: MixPlan | None = None
    mixed_samples: int = 0


def plan_epoch(
    config: TrainingConfig, version: DatasetVersion, check: MaskCheck | None, beside: Beside | None
) -> EpochPlan:
    """By the reports of the checks, which count what is trained; what is drawn of a second dataset is estimated. Reports of before
    count a version as a whole, so that all of it is.
    """
    own = _part(version, check, trainable(version, check))
    if beside is None or not beside.version.train_count:
        return own
    count = drawn_count(trainable(version, check), config.mix_share)
    other = _part(beside.version, beside.check, count)
    trained = _sum(own.trained_tokens, other.trained_tokens)
    share = other.trained_tokens / trained if trained and other.trained_tokens is not None else None
    of_all = count / (count + trainable(version, check))
    mixed = MixPlan(count, trainable(beside.version, beside.check), of_all, share)
    tokens = _sum(own.tokens, other.tokens)
    return EpochPlan(own.samples + other.samples, tokens, trained, mixed, other.samples)


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _part(version: DatasetVersion, check: MaskCheck | None, conversations: int) -> EpochPlan:
    """So many conversations of a version: samples are counted by its check, else one a conversation."""
    report = check.report if check else None
    if report is None:
        return EpochPlan(conversations, None, None)
    if report.to_train is not None:
        found, times = report.to_train, conversations / max(1, report.to_train.conversations)
        return EpochPlan(
            round(found.samples * times), round(found.tokens * times), round(found.trained_tokens * times)
        )
    share = conversations / max(1, version.conversation_count)
    samples = max(1, round(report.samples * share)) if report.samples and version.conversation_count else 0
    return EpochPlan(samples or conversations, round(report.tokens * share), round(report.trained * share))


def trainable(version: DatasetVersion, check: MaskCheck | None) -> int:
    """Conversations that a pass over a version trains: those of the training split, without what its check dropped or refused."""
    report = check.report if check else None
    return report.to_train.conversations if report and report.to_train else version.train_count


def mixed_into(session: Session, run: Run) -> MixedIn | None:
    """The second dataset of a run, if there is one."""
    if run.mix_check_id is None or run.mix_version_id is None:
        return None
    version = require_version(session, run.mix_version_id)
    dataset = session.get_one(Dataset, version.dataset_id)
    return MixedIn(dataset, version, require_mask_check(session, run.mix_check_id))


def data_of(dataset: Dataset, version: DatasetVersion, arrays_hash: str) -> DataProvenance:
    """A version's part in a run, as it is now: of one that was redacted since, the hash of what is left."""
    return DataProvenance(
        dataset=dataset.name,
        version=version.number,
        version_hash=version.content_hash,
        arrays_hash=arrays_hash,
        conversations=version.train_count,
        held_out=version.validation_count,
    )


def provenance_of_mix(session: Session, run: Run) -> MixedInProvenance | None:
    """What travels with the files of it, as it is now."""
    found = mixed_into(session, run)
    if found is None:
        return None
    data = data_of(found.dataset, found.version, run.mix_arrays_hash or "")
    return MixedInProvenance(**dict(data), share=run.config.mix_share, order=run.config.mix_order)


def epoch_of(session: Session, run: Run) -> EpochPlan:
    """One pass over what a run trains, by the reports of its checks."""
    mixed = mixed_into(session, run)
    version, check = (
        require_version(session, run.dataset_version_id),
        require_mask_check(session, run.mask_check_id),
    )
    return plan_epoch(run.config, version, check, Beside(mixed.version, mixed.check) if mixed else None)


def switch_of(session: Session, run: Run, total_steps: int | None) -> int | None:
    """The step after which a curriculum trains the domain, to about a step; None where all is shuffled, or nothing is known
    yet. By what was trained, else by the reports of the checks.
    """
    if run.mix_check_id is None or run.config.mix_order != CURRICULUM or not total_steps:
        return None
    told = run.result.mix if run.result else None
    if told is not None:
        mixed, samples = told.mixed_in.samples, told.mixed_in.samples + told.domain.samples
    else:
        epoch = epoch_of(session, run)
        mixed, samples = epoch.mixed_samples, epoch.samples
    return round(total_steps * mixed / samples) if samples else None
