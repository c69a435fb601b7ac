"""A run whose evaluation is done, made without a worker: base answered badly, tuned well."""

from typing import Final

from fastapi import FastAPI
from sqlmodel import Session

from app.core.database import transaction
from app.core.storage import Storage
from app.evaluations import service
from app.evaluations.documents import CaseLimits, Part
from app.evaluations.handler import Evaluate
from app.evaluations.models import Evaluation
from app.evaluations.parts import plan_cases
from app.evaluations.work import EvaluatePayload, EvaluateResult
from app.jobs import service as jobs
from app.jobs.handlers import Workplace
from app.jobs.models import JobState
from app.runs.models import Run
from app.runs.service import require_run
from app.scoring.suites import built_in_suites
from tests.support.training import ENGINEER, make_run, make_run_like

GOOD: Final = "Thanks for asking. To suggest the right plan, how many people will use it?"
BAD: Final = "It is absolutely the best, 100% guaranteed <b>profit</b>. The rival is rubbish."


def finished_run(session: Session, storage: Storage, *, like: int | None = None) -> Run:
    """A run that ended with an adapter; `like` another, on the same mask check."""
    run, job = make_run(session, storage) if like is None else make_run_like(session, like)
    claim = jobs.claim(session, job.id or 0, owner="test", lease_seconds=30)
    assert claim is not None
    jobs.finish(session, claim, JobState.SUCCEEDED, result={})
    run.adapter_key = "jobs/9/1/adapter"
    session.add(run)
    session.flush()
    return run


def judged(
    app: FastAPI,
    suite: str = "sales-en",
    *,
    run_id: int | None = None,
    good: str = GOOD,
    limits: CaseLimits = service.WHOLE,
) -> Evaluation:
    """An evaluation whose worker has answered: base badly, tuned well. Limited, an attempt before answered all of it."""
    storage: Storage = app.state.storage
    with transaction(app.state.engine) as session:
        run = require_run(session, run_id) if run_id else finished_run(session, storage)
        evaluation, job = service.start_evaluation(session, storage, ENGINEER, run, suite, limits)
        claim = jobs.claim(session, job.id or 0, owner="test", lease_seconds=30)
        assert claim is not None
        answers = [
            (
                "answer",
                {
                    "prompt_key": prompt.key,
                    "variant": variant,
                    "text": text,
                    "tokens": 160 if variant == "base" else 12,
                    "finish_reason": "length" if variant == "base" else "stop",
                    "seconds": 1.0,
                },
            )
            for prompt in built_in_suites()[suite].prompts
            for variant, text in (("base", BAD), ("tuned", good))
        ]
        prompts = built_in_suites()[suite].prompts
        plan = plan_cases(len(prompts), claim.asked(EvaluatePayload).limits)
        keys = [prompts[place].key for place in plan.places]
        part = plan.why and Part(cases=len(keys), of=len(prompts), keys=keys, sentence=plan.why)
        facts = {
            "part": part and part.model_dump(mode="json"),
            "held_out_loss": {"base": 3.0, "tuned": 2.0},
            "perplexity": {"base": 20.1, "tuned": 7.4},
            "held_out": {"conversations": 2, "trained_tokens": 40},
            "generation": {"max_new_tokens": 160, "precision": "float32", "device": "cpu"},
        }
        jobs.finish(session, claim, JobState.SUCCEEDED, result=facts, events=answers)
        place = Workplace(app.state.settings, storage, f"jobs/{job.id}/1")
        Evaluate().publish(session, place, claim, EvaluateResult.stored(facts), [])
        return service.require_evaluation(session, evaluation.id or 0)
