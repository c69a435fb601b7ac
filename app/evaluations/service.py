"""Rules of evaluations: start one, judge its answers, sum it up."""

from collections.abc import Sequence
from typing import Any, Final

from sqlmodel import Session, col, func, select

from app.accounts.service import Actor, record
from app.accounts.who import Who
from app.core.errors import NotFound
from app.core.storage import Storage
from app.evaluations.documents import (
    EvaluationSummary,
    MeanScores,
    Measurements,
    RetentionSummary,
    SideSummary,
)
from app.evaluations.models import Evaluation, EvaluationAnswer, Variant
from app.jobs.events import EventKind
from app.jobs.models import Job, JobEvent, JobKind
from app.jobs.service import enqueue, require_job
from app.runs.models import Run
from app.runs.service import adapter_path
from app.scoring.checks import run_checks
from app.scoring.findings import CheckResult, Exchange
from app.scoring.scores import AnswerScores, general_score, mean_scores, retention, score_answer
from app.scoring.suites import Suite, built_in_suites, parse_suite
from app.sentences import N_

MAX_NEW_TOKENS: Final = 160


def require_suite(name: str) -> Suite:
    """The built-in suite of this name. Raises NotFound naming those there are."""
    suites = built_in_suites()
    if name not in suites:
        raise NotFound(
            N_("There is no suite “%(name)s”. Use one of: %(names)s."),
            field="suite",
            name=name,
            names=", ".join(suites),
        )
    return suites[name]


def start_evaluation(
    session: Session, storage: Storage, actor: Actor, run: Run, suite_name: str
) -> tuple[Evaluation, Job]:
    """Promise to judge a finished run. An evaluation of the same suite under way is returned instead."""
    adapter_path(storage, run)
    suite = require_suite(suite_name)
    for evaluation, job in list_evaluations(session, run_id=run.id):
        if evaluation.suite_name == suite_name and not job.is_final:
            return evaluation, job
    evaluation, job = _create(session, run, suite, created_by=actor.who)
    record(session, actor, "evaluation.start", f"evaluation/{evaluation.id}")
    return evaluation, job


def queue_evaluations(session: Session, run: Run) -> None:
    """The evaluations asked for when the run was started, in its maker's name."""
    for name in run.evaluate_with:
        _create(session, run, require_suite(name), created_by=run.creator)


def _create(session: Session, run: Run, suite: Suite, *, created_by: Who) -> tuple[Evaluation, Job]:
    job = enqueue(session, JobKind.EVALUATE, {}, created_by=created_by)
    assert job.id is not None
    assert run.id is not None
    evaluation = Evaluation(
        run_id=run.id,
        suite_name=suite.name,
        suite=dict(suite.content),
        job_id=job.id,
        **created_by.columns(),
    )
    session.add(evaluation)
    session.flush()
    job.payload = {"evaluation_id": evaluation.id}
    session.add(job)
    session.flush()
    return evaluation, job


def require_evaluation(session: Session, evaluation_id: int) -> Evaluation:
    """The evaluation, or NotFound."""
    found = session.get(Evaluation, evaluation_id)
    if found is None:
        raise NotFound(N_("There is no evaluation %(id)d."), id=evaluation_id)
    return found


def evaluation_job(session: Session, evaluation: Evaluation) -> Job:
    """The job that carries the evaluation's state."""
    return require_job(session, evaluation.job_id)


def list_evaluations(
    session: Session, *, run_id: int | None = None, offset: int = 0, limit: int = 100
) -> list[tuple[Evaluation, Job]]:
    """Evaluations with their jobs, newest first (one query)."""
    statement = (
        select(Evaluation, Job)
        .join(Job, col(Evaluation.job_id) == col(Job.id))
        .order_by(col(Evaluation.id).desc())
        .offset(offset)
        .limit(limit)
    )
    if run_id is not None:
        statement = statement.where(Evaluation.run_id == run_id)
    return [(evaluation, job) for evaluation, job in session.exec(statement)]


def answers(session: Session, evaluation_id: int) -> list[EvaluationAnswer]:
    """All judged answers in the suite's order of storing."""
    statement = select(EvaluationAnswer).where(EvaluationAnswer.evaluation_id == evaluation_id)
    return list(session.exec(statement.order_by(col(EvaluationAnswer.id))))


def answered_count(session: Session, job: Job) -> int:
    """How many answers the running evaluation has given so far."""
    statement = select(func.count()).where(JobEvent.job_id == job.id, JobEvent.kind == EventKind.ANSWER)
    return session.exec(statement).one()


def store_answers(
    session: Session, evaluation: Evaluation, given: Sequence[dict[str, Any]], measured: Measurements
) -> None:
    """Judge the answers, store them and the summary. A later answer to the same prompt replaces an earlier one."""
    assert evaluation.id is not None
    suite = parse_suite(evaluation.suite, evaluation.suite_name)
    latest = {(str(item["prompt_key"]), Variant(item["variant"])): item for item in given}
    judged: dict[Variant, list[tuple[list[CheckResult], AnswerScores]]] = {variant: [] for variant in Variant}
    for prompt in suite.prompts:
        for variant in Variant:
            item = latest.get((prompt.key, variant))
            if item is None:
                continue
            exchange = Exchange(str(item["text"]), prompt.messages, suite.language)
            results = run_checks(prompt.checks, exchange)
            finished = item.get("finish_reason", "stop") != "length"
            scores = score_answer(exchange, prompt.reference, results, finished=finished)
            judged[variant].append((results, scores))
            session.add(
                EvaluationAnswer(
                    evaluation_id=evaluation.id,
                    prompt_key=prompt.key,
                    variant=variant,
                    text=exchange.answer,
                    seconds=float(item.get("seconds", 0.0)),
                    checks=[result.as_json() for result in results],
                    scores=scores.as_json(),
                )
            )
    evaluation.summary = _summary(suite, judged, measured)
    session.add(evaluation)
    session.flush()


def _summary(
    suite: Suite, judged: dict[Variant, list[tuple[list[CheckResult], AnswerScores]]], measured: Measurements
) -> EvaluationSummary:
    """Means and counts by variant, retention for a general suite, and the child's own measurements."""
    general = {
        variant: general_score([checked for checked, _scores in items]) for variant, items in judged.items()
    }
    kept = retention(general[Variant.BASE], general[Variant.TUNED]) if suite.kind == "general" else None
    return EvaluationSummary(
        held_out_loss=measured.held_out_loss,
        perplexity=measured.perplexity,
        base=_side(judged[Variant.BASE], general[Variant.BASE]),
        tuned=_side(judged[Variant.TUNED], general[Variant.TUNED]),
        retention=kept and RetentionSummary(value=kept.value, warns=kept.warns, sentence=kept.sentence),
    )


def _side(items: list[tuple[list[CheckResult], AnswerScores]], check_score: float | None) -> SideSummary:
    results = [result for checked, _scores in items for result in checked]
    return SideSummary(
        answers=len(items),
        checks=len(results),
        checks_passed=sum(result.passed for result in results),
        check_score=check_score,
        scores=MeanScores(**mean_scores([scores for _checked, scores in items])),
    )
