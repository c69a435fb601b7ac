"""What a run needs, made without a worker: a frozen version, a ready model, a finished mask check, events."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Engine
from sqlmodel import Session

from app.accounts.models import Role
from app.accounts.service import Actor
from app.accounts.who import Who
from app.base_models.facts import LayerFacts, ModelFacts
from app.base_models.models import BaseModelSource, ModelEntry
from app.conversations.drafts import build_conversation
from app.conversations.models import ReviewState
from app.core.database import transaction
from app.core.storage import Storage
from app.datasets.service import create_dataset
from app.jobs import service as jobs
from app.jobs.models import Job, JobKind, JobState
from app.mask_checks import service as mask_checks
from app.mask_checks.models import MaskCheck
from app.mask_checks.report import (
    CheckCount,
    Distribution,
    MaskReport,
    ReportFailure,
    ReportReason,
    ReportSuspect,
)
from app.mask_settings.fields import MaskSettingsIn
from app.masking import ArraysBuilder, MaskSettings, SuspectKind, write_arrays
from app.runs.models import Run
from app.runs.preflight.items import Name
from app.runs.result import RunResult
from app.runs.service import RunRequest, require_run, start_run
from app.sentences import Sentence
from app.versions.freezing import freeze
from app.versions.models import DatasetVersion

Ids = npt.NDArray[np.int32]
ENGINEER = Actor(1, "Mei", Role.ENGINEER, "session")
ARRAYS_HASH = "a" * 64
SUITES = ("sales-en", "sales-zh")


def make_version(
    session: Session, storage: Storage, *, conversations: int = 12, name: str = "Calls"
) -> DatasetVersion:
    """A frozen version with so many approved conversations."""
    dataset = create_dataset(session, ENGINEER, name=name)
    assert dataset.id is not None
    for number in range(conversations):
        messages = [
            {"role": "user", "content": f"What does plan {number} cost?"},
            {"role": "assistant", "content": f"What would plan {number} have to do for you?"},
        ]
        row = build_conversation(dataset.id, {"messages": messages, "outcome": "won"}, author=Who("test"))
        row.review_state = ReviewState.APPROVED
        session.add(row)
    session.flush()
    return freeze(session, storage, dataset, ENGINEER).version


LAYERS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.up_proj")


def model_facts(**changes: Any) -> ModelFacts:
    """What preparing found of a small model like Llama."""
    facts = ModelFacts(
        parameters=135_000_000,
        context_length=4096,
        end_of_turn="<|im_end|>",
        end_of_turn_id=2,
        end_of_turn_trained=True,
        layers=[
            *(LayerFacts(name=f"model.layers.*.{name}", count=30, parameters=9_953_280) for name in LAYERS),
            LayerFacts(name="lm_head", count=1, parameters=28_311_552, left_out="output"),
        ],
    )
    return facts.model_copy(update=changes)


def make_model(session: Session, *, name: str = "small", ready: bool = True) -> ModelEntry:
    """A base model, ready or not, without a job."""
    model = ModelEntry(
        name=name,
        source=BaseModelSource.LOCAL,
        reference=f"/models/{name}",
        path=f"/models/{name}" if ready else None,
        info=model_facts(),
    )
    session.add(model)
    session.flush()
    return model


def report(*, green: bool = True) -> MaskReport:
    """A mask check's report with a little of everything."""
    failure = ReportFailure(
        conversation_id=1, sample=0, check="control_tokens", token=7, sentence=Sentence("Token 7 <b>")
    )
    found = [] if green else [failure]
    return MaskReport(
        green=green,
        base_model="small",
        settings=MaskSettingsIn(max_length=2048),
        conversations=12,
        samples=12,
        refused=0,
        dropped=0,
        tokens=1000,
        trained=400,
        skipped=600,
        truncated_samples=1,
        truncated_tokens=5,
        truncated_trained_tokens=0,
        spelled_control_tokens=0,
        rewritten_turns=0,
        longest=90,
        checks=[CheckCount(name="control_tokens", passed=green, failed=len(found))],
        failing_conversations=len(found),
        failures=found,
        suspicious=[*(one.conversation_id for one in found), 2],
        suspects=[
            *(
                ReportSuspect(
                    conversation_id=one.conversation_id,
                    reasons=[
                        ReportReason(
                            kind=SuspectKind.FAILED,
                            check=one.check,
                            sample=one.sample,
                            token=one.token,
                            sentence=one.sentence,
                        )
                    ],
                )
                for one in found
            ),
            ReportSuspect(
                conversation_id=2,
                reasons=[ReportReason(kind=SuspectKind.CUT, sample=0, token=80, sentence=Sentence("Cut."))],
            ),
        ],
        suspect_counts={SuspectKind.CUT: 1},
        leaked=0,
        trained_ratio=Distribution(
            edges=[place / 20 for place in range(21)], counts=[0] * 8 + [12] + [0] * 11
        ),
        lengths=Distribution(edges=[0, 64, 128], counts=[2, 10]),
        hash=ARRAYS_HASH,
        # of no tokenizer that there is, so nothing can find it changed
        tokenizer_hash=None,
    )


def ask_for_check(
    session: Session,
    storage: Storage,
    *,
    dataset_version_id: int,
    base_model_id: int,
    settings: MaskSettings,
) -> tuple[MaskCheck, Job]:
    """A mask check as a page asks for it. A session that writes is committed before files are looked at."""
    question = mask_checks.read_question(
        session, dataset_version_id=dataset_version_id, base_model_id=base_model_id, settings=settings
    )
    session.commit()
    return mask_checks.request_check(session, ENGINEER, mask_checks.examine(question, storage))


def finish_check(session: Session, check: MaskCheck, *, green: bool = True) -> None:
    """What the worker would have stored."""
    claim = jobs.claim(session, check.job_id, owner="test", lease_seconds=30)
    assert claim is not None
    jobs.finish(session, claim, JobState.SUCCEEDED, result={})
    check.passed, check.report = green, report(green=green)
    check.arrays_key, check.arrays_hash = "jobs/1/1/arrays.safetensors", ARRAYS_HASH
    session.add(check)
    session.flush()


def make_queued_check(
    session: Session,
    storage: Storage,
    *,
    conversations: int = 12,
    settings: MaskSettings | None = None,
    model_folder: Path | None = None,
) -> tuple[MaskCheck, Job]:
    """A mask check that nobody has begun, of a new version for a new model."""
    version, model = make_version(session, storage, conversations=conversations), make_model(session)
    model.path = str(model_folder or model.path)
    ids = {"dataset_version_id": version.id or 0, "base_model_id": model.id or 0}
    return ask_for_check(session, storage, **ids, settings=settings or MaskSettings())


def make_check(
    session: Session, storage: Storage, *, green: bool = True, conversations: int = 12
) -> MaskCheck:
    """A finished mask check with its version and model."""
    settings = MaskSettings(max_length=2048)
    check, _job = make_queued_check(session, storage, conversations=conversations, settings=settings)
    finish_check(session, check, green=green)
    return check


def make_mix_check(
    session: Session, storage: Storage, check: MaskCheck, *, name: str = "General", green: bool = True
) -> MaskCheck:
    """A finished check of another dataset for the same base model with the same settings."""
    version = make_version(session, storage, name=name)
    beside, _job = ask_for_check(
        session,
        storage,
        dataset_version_id=version.id or 0,
        base_model_id=check.base_model_id,
        settings=check.settings.to_settings(),
    )
    finish_check(session, beside, green=green)
    beside.arrays_hash = "d" * 64
    session.add(beside)
    write_arrays_of(session, storage, check, {1: WORDS[:40], 2: WORDS[40:80]}, held_out=2)
    write_arrays_of(session, storage, beside, {11: WORDS[80:120], 12: WORDS[120:]}, held_out=12)
    return beside


# Token ids that no two conversations have in common.
WORDS = np.random.default_rng(3).permutation(40_000)[:160].astype(np.int32)


def write_arrays_of(
    session: Session, storage: Storage, check: MaskCheck, samples: dict[int, Ids], *, held_out: int
) -> None:
    """Arrays for a finished check: ids of a conversation's tokens, all trained, by its id."""
    builder = ArraysBuilder(MaskSettings(), "small", frozenset({held_out}))
    for conversation, ids in samples.items():
        builder.add(conversation, ids, ids)
    check.arrays_key = f"jobs/{check.job_id}/1/arrays.safetensors"
    write_arrays(storage.folder(f"jobs/{check.job_id}/1") / "arrays.safetensors", builder.finish())
    session.add(check)
    session.flush()


def make_run(session: Session, storage: Storage, **request: Any) -> tuple[Run, Job]:
    """A queued run on a green check, with whatever its pre-flight warns of accepted."""
    check = make_check(session, storage)
    request = {"accepted_warnings": tuple(Name), **request}
    run, _created = start_run(
        session, ENGINEER, RunRequest(check.id or 0, confirmed=True, **request), suites=SUITES
    )
    return run, jobs.require_job(session, run.job_id)


def make_run_like(session: Session, run_id: int) -> tuple[Run, Job]:
    """A queued run on the mask check of another."""
    request = RunRequest(
        require_run(session, run_id).mask_check_id, confirmed=True, accepted_warnings=tuple(Name)
    )
    run, _created = start_run(session, ENGINEER, request, suites=SUITES)
    return run, jobs.require_job(session, run.job_id)


def run_result(**changes: Any) -> dict[str, Any]:
    """What the trainer hands back of a run that ended by itself."""
    told = RunResult(
        adapter="adapter",
        adapter_step=3,
        steps=3,
        total_steps=3,
        train_loss=2.0,
        eval_loss=2.5,
        stopped_early=False,
        stop_reason="finished",
        labels_hash=ARRAYS_HASH,
        labels_seen=9,
        labels_total=9,
        peak_memory_bytes=1 << 30,
    )
    return told.model_copy(update=changes).to_json()


def lived_through(engine: Engine, *batches: list[jobs.EventData]) -> jobs.Claim:
    """The last claim on a running job; between two batches of events its lease ran out."""
    with transaction(engine) as session:
        job = jobs.enqueue(session, JobKind.TRAIN, created_by=Who("Mei"))
    assert job.id is not None
    for batch in batches:
        with transaction(engine) as session:
            jobs.rescue_expired(session, max_attempts=9)
            claim = jobs.claim(session, job.id, owner="w", lease_seconds=-1)
            assert claim is not None
            jobs.heartbeat(session, claim, lease_seconds=-1, events=batch)
    return claim


def metric(step: int, loss: float | None = 2.0) -> jobs.EventData:
    """A metric event."""
    return ("metric", {"step": step, "epoch": 0.1, "loss": loss, "learning_rate": 5e-5, "grad_norm": 0.5})


def progress(step: int, total: int = 100) -> jobs.EventData:
    """A progress event."""
    return ("progress", {"step": step, "total_steps": total, "epoch": 0.5, "eta_seconds": 75.0})
