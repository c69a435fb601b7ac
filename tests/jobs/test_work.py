"""Payloads, inputs and results of jobs: rows of earlier programs read on, and nothing is lost on the way to a child."""

import json
from typing import Any

import pytest
from sqlalchemy import Engine

from app.accounts.who import Who
from app.base_models.work import PrepareInput, PreparePayload
from app.core.database import transaction
from app.evaluations.work import EvaluateInput, EvaluatePayload, EvaluateResult
from app.jobs import service
from app.jobs.models import JobKind
from app.jobs.work import JobInput, JobPayload
from app.mask_checks.work import CheckInput, CheckPayload
from app.playground.work import ChatPayload, ChatRequest
from app.runs.work import TrainInput, TrainPayload

SAID = [{"role": "user", "content": "多少钱？"}]
# As rows held them before they had classes.
ROWS: list[tuple[JobKind, type[JobPayload], dict[str, Any]]] = [
    (JobKind.PREPARE_BASE_MODEL, PreparePayload, {"base_model_id": 3}),
    (JobKind.PREPARE_BASE_MODEL, PreparePayload, {"base_model_id": 3, "tokenizer_only": True}),
    (JobKind.CHECK_MASKS, CheckPayload, {"mask_check_id": 4}),
    (JobKind.TRAIN, TrainPayload, {"run_id": 5}),
    (JobKind.EVALUATE, EvaluatePayload, {"evaluation_id": 6}),
    (
        JobKind.CHAT,
        ChatPayload,
        {"run_id": 5, "sides": ["tuned"], "messages": SAID, "max_new_tokens": 9, "temperature": 0.5},
    ),
]
PROVENANCE = {"run": "r", "dataset": "d", "version": 1, "version_hash": "", "conversations": 1, "held_out": 0}
INPUTS: list[tuple[type[JobInput], dict[str, Any]]] = [
    (PrepareInput, {"source": "hub", "reference": "org/chat", "revision": "main"}),
    (
        CheckInput,
        {
            "version_file": "/v",
            "content_hash": "a",
            "base_model": "m",
            "base_model_path": "/m",
            "settings": {
                "max_length": None,
                "train_on": "last_assistant",
                "template_arguments": {"thinking": False},
            },
        },
    ),
    (
        TrainInput,
        {
            "arrays": "/a",
            "arrays_hash": "b",
            "base_model_path": "/m",
            "config": {"bf16": False, "lora_target_modules": ["q_proj"], "learning_rate": 1e-4},
            "provenance": {**PROVENANCE, "arrays_hash": "b", "recipe": "quick", "base_model": "m"},
            "resume_from": "/jobs/7",
        },
    ),
    (
        EvaluateInput,
        {
            "base_model_path": "/m",
            "adapter_path": "/a",
            "suite": {"name": "s", "prompts": [{"key": "k", "messages": SAID}]},
            "generation": {"max_new_tokens": 8},
        },
    ),
    (ChatRequest, {"base_model_path": "/m", "messages": SAID, "sides": ["base"], "temperature": 1.5}),
]


@pytest.mark.parametrize(("kind", "model", "row"), ROWS)
def test_a_row_of_an_earlier_program_reads_on(
    engine: Engine, kind: JobKind, model: type[JobPayload], row: dict[str, Any]
) -> None:
    with transaction(engine) as session:
        job = service.enqueue(session, kind, created_by=Who("Mei"))
        job.payload = row
        session.add(job)
        session.flush()
        claim = service.claim(session, job.id or 0, owner="w", lease_seconds=9)
        assert claim is not None
        assert row.items() <= claim.asked(model).to_json().items()
        assert claim.asked(model) == job.asked(model) == model.stored(row)


@pytest.mark.parametrize(("model", "given"), INPUTS, ids=lambda value: getattr(value, "__name__", ""))
def test_an_input_comes_out_of_its_file_as_it_was_written(
    model: type[JobInput], given: dict[str, Any]
) -> None:
    first = model.stored(given)
    second = model.stored(json.loads(json.dumps(first.to_json())))
    assert second == first
    assert second.to_json() == first.to_json()


def test_a_measurement_that_was_no_number_is_none_at_all() -> None:
    told = EvaluateResult.stored({"held_out_loss": {"base": 2.0, "tuned": None}, "perplexity": None})
    assert told.held_out_loss is None
    assert told.perplexity is None


def test_a_chat_asks_both_sides_only_where_there_is_an_adapter() -> None:
    assert ChatRequest(base_model_path="/m").of("1").sides == ["base"]
    assert ChatRequest(base_model_path="/m", adapter_path="/a").of("1").sides == ["base", "tuned"]
    assert ChatRequest(base_model_path="/m", adapter_path="/a", sides=["tuned"]).of("1").sides == ["tuned"]
