"""What the command line says of evaluations."""

from fastapi import FastAPI

from app.cli.verdict import verdict_lines
from app.core.database import transaction
from app.evaluations.documents import CaseLimits
from app.evaluations.service import list_evaluations, verdicts
from app.evaluations.work import EvaluatePayload
from app.runs.tracking import TrackedRun, TrackerName
from tests.cli.conftest import LiveServer
from tests.support.judged import judged


def test_lists_and_states_tell_the_verdict_with_its_numbers(app: FastAPI, live: LiveServer) -> None:
    evaluation = judged(app)
    assert evaluation.summary is not None
    assert evaluation.summary.verdict is not None
    (listed,) = live.run("list", "evaluations", "--json").json
    assert listed["summary"]["verdict"]["outcome"] == "better"
    assert "Better on Sales" in " ".join(live.run("list", "evaluations").stdout.split())
    run = str(evaluation.run_id)
    with transaction(app.state.engine) as session:
        address = "https://mlflow.example.com/#/experiments/1/runs/a"
        session.add(
            TrackedRun(
                run_id=evaluation.run_id, tracker=TrackerName.MLFLOW, destination="https://x", url=address
            )
        )
    told = live.run("status", "--run", run, "--json").json
    assert (told["trackers"][0]["tracker"], told["trackers"][0]["url"]) == ("mlflow", address)
    assert told["verdict"]["suites"][0]["evaluation_id"] == evaluation.id
    # A table folds what is too long for its column.
    assert address in "".join(live.run("status", "--run", run).stdout.split())
    assert "有提升" in "".join(live.run("status", "--run", run, LANG="zh_CN.UTF-8").stdout.split())


def test_a_part_of_a_suite_is_asked_for_by_number_or_time_and_told_with_the_verdict(
    app: FastAPI, live: LiveServer
) -> None:
    run_id = judged(app, limits=CaseLimits(max_cases=11)).run_id
    run = str(run_id)
    ask = ("evaluate", "--run", run, "--suite", "general-en", "--no-wait", "--json")
    assert live.run(*ask, "--max-cases", "3", "--max-minutes", "2").code == 0
    with transaction(app.state.engine) as session:
        (_newest, job), *_ = list_evaluations(session)
        assert job.asked(EvaluatePayload).limits == CaseLimits(max_cases=3, max_minutes=2)
    assert "max_minutes" in live.run(*ask, "--max-minutes", "0").error
    with transaction(app.state.engine) as session:
        told = verdict_lines(verdicts(session, [run_id])[run_id])
    assert "11 of 16 cases, chosen evenly, as was asked for." in told[1]
