"""What the command line says of evaluations."""

from fastapi import FastAPI

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
    told = live.run("status", "--run", run, "--json").json
    assert told["verdict"]["suites"][0]["evaluation_id"] == evaluation.id
    assert "有提升" in "".join(live.run("status", "--run", run, LANG="zh_CN.UTF-8").stdout.split())
