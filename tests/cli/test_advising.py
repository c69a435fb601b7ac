"""Advice is taken by one word of the command that starts the run, as by one click of the form."""

from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI

from app.cli.advising import advice_taken
from app.core.console import CommandFailed
from app.core.database import transaction
from app.core.storage import Storage
from tests.cli.conftest import LiveServer
from tests.support.training import make_check

pytestmark = pytest.mark.usefixtures("silent_bell")
TRAIN = ("train", "--dataset", "Calls", "--model", "small", "--set", "max_length=2048")
ACCEPTED = ("--accept", "truncated", "--accept", "learning_rate", "--accept", "epochs", "--no-wait", "--json")


def test_advice_is_taken_as_it_is_given(app: FastAPI, storage: Storage, live: LiveServer) -> None:
    with transaction(app.state.engine) as session:
        make_check(session, storage)
    asked = ("--dataset", "Calls", "--model", "small", "--task", "format", "--json")
    advice = {one["field"]: one["value"] for one in live.run("advise", *asked).json["advice"]}
    assert advice.keys() >= {"num_train_epochs", "lora_dropout", "lora_r"}

    started = live.run(*TRAIN, "--task", "format", "--take", "all", "--name", "Advised", *ACCEPTED)
    run = started.json
    assert {name: str(run["config"][name]) for name in advice} == {
        name: str(type(run["config"][name])(value)) for name, value in advice.items()
    }
    assert all(f"Taken: {name}={value}. " in started.stderr for name, value in advice.items())
    assert run["name"] == "Advised"

    one = live.run(
        *TRAIN, "--set", "num_train_epochs=9", "--take", "lora_dropout", "--suite", "sales-en", *ACCEPTED
    ).json
    config = one["config"]
    assert (config["lora_dropout"], config["num_train_epochs"], config["lora_r"]) == (0.1, 9, 64)
    assert one["evaluate_with"] == ["sales-en"]
    # What somebody set themselves stays, and twice is a mistake.
    kept = live.run(*TRAIN, "--set", "lora_dropout=0", "--take", "all", *ACCEPTED).json
    assert kept["config"]["lora_dropout"] == 0
    twice = live.run(*TRAIN, "--set", "lora_dropout=0", "--take", "lora_dropout", *ACCEPTED)
    assert "given by --set and by --take" in twice.error
    unknown = live.run(*TRAIN, "--take", "seed", *ACCEPTED, LANG="zh_CN.UTF-8")
    assert (unknown.code, "seed" in unknown.error, "num_train_epochs" in unknown.error) == (1, True, True)
    assert "没有关于 seed 的建议" in unknown.error


class PlanOf:
    """A client whose plans have this advice: field, value, why."""

    def __init__(self, *advice: tuple[str, str, str]) -> None:
        self.advice = [SimpleNamespace(field=field, value=value, why=why) for field, value, why in advice]

    def plan_run(self, _body: dict[str, Any]) -> Any:
        return self


@pytest.mark.parametrize(
    ("changes", "wanted", "taken"),
    [
        (
            {},
            ["gradient_accumulation_steps"],
            {"per_device_train_batch_size": "2", "gradient_accumulation_steps": "8"},
        ),
        ({}, ["lora_r"], {"lora_r": "16"}),
        ({"per_device_train_batch_size": 1}, ["all"], {"per_device_train_batch_size": 1, "lora_r": "16"}),
        ({"per_device_train_batch_size": 1}, ["gradient_accumulation_steps"], None),
    ],
    ids=str,
)
def test_what_is_advised_for_one_reason_is_taken_whole_or_not_at_all(
    changes: dict[str, Any], wanted: list[str], taken: dict[str, Any] | None
) -> None:
    client: Any = PlanOf(
        ("per_device_train_batch_size", "2", "Both belong together."),
        ("gradient_accumulation_steps", "8", "Both belong together."),
        ("lora_r", "16", "Less is enough."),
    )
    if taken is None:
        with pytest.raises(CommandFailed, match="per_device_train_batch_size is given by --set"):
            advice_taken(client, {"changes": changes}, wanted)
    else:
        assert advice_taken(client, {"changes": changes}, wanted) == taken
