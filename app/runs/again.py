"""A run made once more: the same arrays, base model and config, so that the same device gives the same losses."""

from collections.abc import Collection
from dataclasses import replace
from typing import Final

from sqlmodel import Session

from app.accounts.service import Actor
from app.core.errors import Conflict
from app.core.i18n import gettext
from app.mask_checks.service import require_mask_check
from app.recipes.config import TrainingConfig
from app.runs.backends import Backends
from app.runs.beginning import Beginning
from app.runs.models import Run
from app.runs.preflight.facts import UNSEEN, Ground
from app.runs.service import RunRequest, run_job, start_run
from app.sentences import N_

_OTHER_DATA: Final = N_(
    "Run %(id)d cannot be made again: what it was trained on is another by now, since the mask check was made anew."
)


def run_again(
    session: Session,
    actor: Actor,
    run: Run,
    *,
    backends: Backends,
    ground: Ground = UNSEEN,
    accepted: Collection[str] = (),
    key: str = "",
) -> tuple[Run, bool]:
    """Promise it; the same idempotency key again gives the first one and False. A red check's reason goes along, and so does
    what was accepted of the pre-flight where its evidence is the same; `accepted` names the rest.

    Raises Conflict where a warning is not accepted, and where the arrays are others by now: conversations were erased, or
    another tokenizer made them.
    """
    request = request_again(session, run, accepted, key)
    return start_run(session, actor, request, suites=run.evaluate_with, backends=backends, ground=ground)


def request_again(session: Session, run: Run, accepted: Collection[str] = (), key: str = "") -> RunRequest:
    """What is asked for with it. Raises Conflict where the arrays are others by now."""
    if not has_same_arrays(session, run):
        raise Conflict(_OTHER_DATA, id=run.id)
    name = gettext(N_("%(name)s, again")) % {"name": run.name[:100]}
    return request_like(session, run, _decided(run), run.begins, name, accepted, key)


def has_same_arrays(session: Session, run: Run) -> bool:
    """Whether what the run was trained on is there still: its mask checks may have been made anew since."""
    check = require_mask_check(session, run.mask_check_id)
    beside = require_mask_check(session, run.mix_check_id) if run.mix_check_id else None
    return check.arrays_hash == run.arrays_hash and (
        beside is None or beside.arrays_hash == run.mix_arrays_hash
    )


def request_like(
    session: Session,
    run: Run,
    config: TrainingConfig,
    begins: Beginning | None,
    name: str,
    accepted: Collection[str],
    key: str,
) -> RunRequest:
    """What is asked for with a run on the same data, confirmed and accepted as this one was, by this very config."""
    on_its_data = request_on_its_data(session, run, accepted, key)
    return replace(on_its_data, name=name, exactly=config, begins=begins, again_of=run)


def request_on_its_data(session: Session, run: Run, accepted: Collection[str], key: str) -> RunRequest:
    """What every run on the data of this one asks for: its recipe by name, confirmed, accepted, judged and placed as this one was."""
    return RunRequest(
        mask_check_id=run.mask_check_id,
        mix_check_id=run.mix_check_id,
        recipe=run.recipe,
        confirmed=True,
        override_reason=run.override_reason or "",
        evaluate_with=tuple(run.evaluate_with),
        idempotency_key=key,
        accepted_warnings=tuple(accepted),
        accepted_before=run.preflight,
        device=run_job(session, run).device_wanted,
    )


def _decided(run: Run) -> TrainingConfig:
    """The config with what the machine found out then: it would measure again and might find something else."""
    plan = run.result.plan if run.result else None
    if plan is None:
        return run.config
    found: dict[str, object] = {}
    if run.config.bf16 == "auto":
        found["bf16"] = "bfloat16" in plan.precision
    if run.config.max_train_minutes:
        found |= {"max_train_minutes": 0.0, "max_steps": plan.steps}
    return run.config.model_copy(update=found)
