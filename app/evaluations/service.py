"""Rules of evaluations: start one, judge its answers, sum it up."""

from collections.abc import Sequence
from typing import Final

from sqlmodel import Session, col, func, select

from app.accounts.service import Actor, record
from app.accounts.who import Who
from app.core.errors import NotFound
from app.core.storage import Storage
from app.evaluations.documents import CaseLimits, EvaluationSummary, JudgedRun, Measurements, SuiteOfRun
from app.evaluations.models import CUT, Evaluation, EvaluationAnswer, Variant
from app.evaluations.summing import summarise
from app.evaluations.work import EvaluatePayload
from app.jobs.events import AnswerPayload, EventKind
from app.jobs.models import Job, JobEvent, JobKind
from app.jobs.service import enqueue_with, require_job
from app.runs.models import Run
from app.runs.service import adapter_path
from app.scoring.checks import run_checks
from app.scoring.findings import Exchange
from app.scoring.scores import score_answer
from app.scoring.suites import Prompt, Suite, built_in_suites, parse_suite
from app.sentences import N_

MAX_NEW_TOKENS: Final = 160
WHOLE: Final = CaseLimits()


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
    session: Session, storage: Storage, actor: Actor, run: Run, suite_name: str, limits: CaseLimits = WHOLE
) -> tuple[Evaluation, Job]:
    """Promise to judge a finished run. An evaluation of the same suite under way is returned instead, whatever its limits."""
    adapter_path(storage, run)
    suite = require_suite(suite_name)
    for evaluation, job in list_evaluations(session, run_id=run.id):
        if evaluation.suite_name == suite_name and not job.is_final:
            return evaluation, job
    evaluation, job = _create(session, run, suite, created_by=actor.who, limits=limits)
    record(session, actor, "evaluation.start", f"evaluation/{evaluation.id}")
    return evaluation, job


def queue_evaluations(session: Session, run: Run) -> None:
    """The evaluations asked for when the run was started, in its maker's name."""
    for name in run.evaluate_with:
        _create(session, run, require_suite(name), created_by=run.creator)


def _create(
    session: Session, run: Run, suite: Suite, *, created_by: Who, limits: CaseLimits = WHOLE
) -> tuple[Evaluation, Job]:
    return enqueue_with(
        session,
        JobKind.EVALUATE,
        lambda job_id: Evaluation(
            run_id=run.id or 0,
            suite_name=suite.name,
            suite=dict(suite.content),
            job_id=job_id,
            **created_by.columns(),
        ),
        lambda evaluation_id: EvaluatePayload(evaluation_id=evaluation_id, limits=limits),
        created_by=created_by,
    )


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


def expected_cases(evaluation: Evaluation, job: Job) -> int:
    """How many cases are answered, as far as it is known: a limit in minutes is one for the worker to find out."""
    of = len(evaluation.suite.get("prompts", ()))
    return min(of, job.asked(EvaluatePayload).limits.max_cases or of)


def store_answers(
    session: Session, evaluation: Evaluation, given: Sequence[AnswerPayload], measured: Measurements
) -> None:
    """Judge the answers, store them and the summary. A later answer to the same prompt replaces an earlier one.

    Of a part of the suite, the evaluation keeps that part, which is what its report is about; an earlier attempt may
    have answered others.
    """
    assert evaluation.id is not None
    if measured.part is not None:
        asked = frozenset(measured.part.keys)
        prompts = [prompt for prompt in evaluation.suite["prompts"] if prompt["key"] in asked]
        evaluation.suite = {**evaluation.suite, "prompts": prompts}
    suite = parse_suite(evaluation.suite, evaluation.suite_name)
    latest = {(str(item["prompt_key"]), Variant(item["variant"])): item for item in given}
    rows = [
        _judged(evaluation.id, suite, prompt, variant, latest[prompt.key, variant])
        for prompt in suite.prompts
        for variant in Variant
        if (prompt.key, variant) in latest
    ]
    session.add_all(rows)
    evaluation.summary = summarise(suite, rows, measured)
    session.add(evaluation)
    session.flush()


def _judged(
    evaluation_id: int, suite: Suite, prompt: Prompt, variant: Variant, item: AnswerPayload
) -> EvaluationAnswer:
    exchange = Exchange(str(item["text"]), prompt.messages, suite.language)
    results = run_checks(prompt.checks, exchange)
    reason = item.get("finish_reason")
    scores = score_answer(exchange, prompt.reference, results, finished=reason != CUT)
    return EvaluationAnswer(
        evaluation_id=evaluation_id,
        prompt_key=prompt.key,
        variant=variant,
        text=exchange.answer,
        seconds=float(item.get("seconds", 0.0)),
        tokens=item.get("tokens"),
        finish_reason=reason,
        checks=[result.as_json() for result in results],
        scores=scores.as_json(),
    )


def summary_of(evaluation: Evaluation, answers: Sequence[EvaluationAnswer]) -> EvaluationSummary | None:
    """The stored summary; one of an earlier program, which has no verdict, is made anew from the stored answers."""
    stored = evaluation.summary
    if stored is None or stored.verdict is not None:
        return stored
    return summarise(parse_suite(evaluation.suite, evaluation.suite_name), answers, stored)


# By suite, the id of the newest finished evaluation and its summary.
Newest = dict[str, tuple[int, EvaluationSummary]]


def verdicts(session: Session, run_ids: Sequence[int]) -> dict[int, JudgedRun]:
    """By run, the verdict over the newest finished evaluation of each suite; runs without one are left out.

    One query, and two more where some of these are of an earlier program.
    """
    return {run_id: _verdict(newest) for run_id, newest in newest_summaries(session, run_ids).items()}


def verdict_with(
    session: Session, evaluation: Evaluation, summary: EvaluationSummary | None
) -> JudgedRun | None:
    """The verdict on the evaluation's run, in which this summary stands for its suite, be it the newest or not."""
    newest = newest_summaries(session, [evaluation.run_id]).get(evaluation.run_id, {})
    if summary is not None and summary.verdict is not None:
        newest[evaluation.suite_name] = (evaluation.id or 0, summary)
    return _verdict(newest) if newest else None


def newest_summaries(session: Session, run_ids: Sequence[int]) -> dict[int, Newest]:
    """By run, what its newest finished evaluation of each suite found, with a verdict; runs without one are left out."""
    # Not the suites: each of these rows holds one whole.
    statement = (
        select(Evaluation.run_id, Evaluation.suite_name, col(Evaluation.id), col(Evaluation.summary))
        .where(col(Evaluation.run_id).in_(run_ids), col(Evaluation.summary).is_not(None))
        .order_by(col(Evaluation.id))
    )
    last = {
        (run_id, suite_name): (evaluation_id, summary)
        for run_id, suite_name, evaluation_id, summary in session.exec(statement)
        if evaluation_id is not None and summary is not None
    }
    anew = _judged_anew(session, [found for found, summary in last.values() if summary.verdict is None])
    newest: dict[int, Newest] = {}
    for (run_id, suite_name), (evaluation_id, stored) in last.items():
        summary = anew.get(evaluation_id, stored)
        if summary.verdict is not None:
            newest.setdefault(run_id, {})[suite_name] = (evaluation_id, summary)
    return newest


def _judged_anew(session: Session, evaluation_ids: Sequence[int]) -> dict[int, EvaluationSummary]:
    """Summaries of evaluations of an earlier program, with their verdict, by id."""
    if not evaluation_ids:
        return {}
    evaluations = session.exec(select(Evaluation).where(col(Evaluation.id).in_(evaluation_ids))).all()
    given: dict[int, list[EvaluationAnswer]] = {found: [] for found in evaluation_ids}
    chosen = col(EvaluationAnswer.evaluation_id).in_(evaluation_ids)
    for answer in session.exec(select(EvaluationAnswer).where(chosen)):
        given[answer.evaluation_id].append(answer)
    summaries = {found.id or 0: summary_of(found, given[found.id or 0]) for found in evaluations}
    return {found: summary for found, summary in summaries.items() if summary is not None}


def _verdict(newest: Newest) -> JudgedRun:
    """Sales suites first. The held-out loss is the run's, whichever evaluation measured it."""
    suites = [
        SuiteOfRun(
            **summary.verdict.model_dump(), evaluation_id=evaluation_id, suite_name=name, part=summary.part
        )
        for name, (evaluation_id, summary) in newest.items()
        if summary.verdict
    ]
    measured = [summary.held_out_loss for _id, summary in sorted(newest.values(), key=lambda one: one[0])]
    return JudgedRun.of(
        sorted(suites, key=lambda suite: (suite.kind != "sales", suite.suite_name)),
        next((losses for losses in reversed(measured) if losses), None),
    )
