"""The runs whose curves the rules are held against: twenty that went well, and those that were made to fail each way.

`python -m tests.diagnosis.studies` trains them (some minutes) and writes `curves/NAME.json`: how it was made, and its
points. `--real` adds those of SmolLM2-135M. The same studies, trained afresh, are what the tests of each rule use.
"""

import json
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import torch

from app.diagnosis import EvalPoint, FindingCode, Record, SampleAnswer, Settings, TrainPoint
from app.recipes.config import TrainingConfig
from tests.support.small_model import small_model_folder
from tests.support.small_runs import BASE, PRODUCTS, Exchange, exchanges, price_questions, train
from tests.worker.conftest import Recorder

CURVES: Final = Path(__file__).parent / "curves"


@dataclass(frozen=True)
class Study:
    """`data`: "talk" are the bundled dialogues, "prices" questions with one pattern; `wrong`: what has to be found."""

    data: str = "prices"
    training: int = 60
    held_out: int = 16
    wrong: FindingCode | None = None
    real: bool = False
    config: dict[str, Any] = field(default_factory=dict)


def _healthy(data: str = "prices", training: int = 60, held_out: int = 16, **config: Any) -> Study:
    return Study(data, training, held_out, config=config)


def _real(data: str, **config: Any) -> Study:
    usual = {"lora_r": 16, "lora_alpha": 32, "eval_steps": 4, "learning_rate": 1e-4}
    return Study(data, 40, 8, real=True, config={**usual, **config})


def _failing(wrong: FindingCode, data: str = "prices", training: int = 60, **config: Any) -> Study:
    return Study(data, training, 16, wrong, config=config)


_CONSTANT: Final = {"lr_scheduler_type": "constant", "warmup_ratio": 0.0, "max_grad_norm": 100.0}
STUDIES: Final[dict[str, Study]] = {
    "prices": _healthy(num_train_epochs=3, learning_rate=3e-3),
    "prices-slow": _healthy(num_train_epochs=6, learning_rate=1e-3),
    "prices-linear": _healthy(num_train_epochs=4, learning_rate=2e-3, lr_scheduler_type="linear"),
    "prices-constant": _healthy(
        num_train_epochs=4, learning_rate=2e-3, lr_scheduler_type="constant_with_warmup"
    ),
    "prices-batch-1": _healthy(num_train_epochs=2, learning_rate=1e-3, per_device_train_batch_size=1),
    "prices-accumulated": _healthy(
        num_train_epochs=8, learning_rate=3e-3, per_device_train_batch_size=2, gradient_accumulation_steps=4
    ),
    "prices-dropout": _healthy(num_train_epochs=4, learning_rate=3e-3, lora_dropout=0.1),
    "prices-no-held-out": _healthy(held_out=0, num_train_epochs=3, learning_rate=3e-3),
    "prices-few-points": _healthy(num_train_epochs=3, learning_rate=3e-3, logging_steps=10, eval_steps=20),
    "prices-early-stop": _healthy(
        num_train_epochs=6, learning_rate=3e-3, early_stopping_patience=3, eval_steps=5
    ),
    "talk": _healthy("talk", 100, num_train_epochs=3, learning_rate=2e-3),
    "talk-slow": _healthy("talk", num_train_epochs=3, learning_rate=1e-3),
    "talk-batch-1": _healthy(
        "talk", 80, num_train_epochs=2, learning_rate=5e-4, per_device_train_batch_size=1
    ),
    "talk-small-rank": _healthy("talk", 100, num_train_epochs=3, learning_rate=2e-3, lora_r=2, lora_alpha=4),
    "talk-two-layers": _healthy(
        "talk", 100, num_train_epochs=3, learning_rate=3e-3, lora_target_modules="q,v"
    ),
    "talk-short": _healthy("talk", max_steps=12, learning_rate=2e-3, eval_steps=3),
    "talk-seed": _healthy("talk", 100, num_train_epochs=2, learning_rate=3e-3, seed=7),
    "talk-large-rank": _healthy(
        "talk", 100, num_train_epochs=2, learning_rate=1e-3, lora_r=64, lora_alpha=128, seed=3
    ),
    "prices-restarts": _healthy(
        num_train_epochs=4, learning_rate=2e-3, lr_scheduler_type="cosine_with_restarts", seed=5
    ),
    "smollm2-en": _real("talk", num_train_epochs=2),
    "smollm2-zh": _real("chinese", num_train_epochs=2),
    "overfitting": _failing(
        FindingCode.OVERFITTING, "talk", 12, num_train_epochs=16, learning_rate=5e-3, lora_r=32, lora_alpha=64
    ),
    "oscillation": _failing(
        FindingCode.OSCILLATION,
        num_train_epochs=3,
        # With 1e-2 it is chance whether it swings or comes apart.
        learning_rate=6e-3,
        lora_alpha=64,
        per_device_train_batch_size=1,
        **_CONSTANT,
    ),
    "no-decrease": _failing(FindingCode.NO_DECREASE, num_train_epochs=2, learning_rate=1e-7),
    "explosion": _failing(
        FindingCode.EXPLOSION, "talk", num_train_epochs=2, learning_rate=1e-2, lora_alpha=4096, **_CONSTANT
    ),
    "fall-then-rise": _failing(
        FindingCode.FALL_THEN_RISE,
        num_train_epochs=4,
        learning_rate=1e-2,
        lora_alpha=512,
        warmup_ratio=0.5,
        lr_scheduler_type="constant_with_warmup",
    ),
}
# Told by their answers, which are asked for in the tests alone.
ANSWERING: Final[dict[str, Study]] = {
    "parroting": Study(
        "by heart",
        20,
        8,
        FindingCode.PARROTING,
        config={
            "num_train_epochs": 20,
            "learning_rate": 1e-2,
            "lora_r": 32,
            "lora_alpha": 64,
            "lora_dropout": 0.0,
            "eval_steps": 50,
            "sample_count": 4,
        },
    ),
    "one-answer": Study(
        "one answer",
        24,
        8,
        FindingCode.LOSS_OF_DIVERSITY,
        config={"num_train_epochs": 6, "learning_rate": 1e-2, "eval_steps": 18, "sample_count": 4},
    ),
}


@cache
def _prices() -> list[Exchange]:
    found = price_questions()
    random.Random(0).shuffle(found)
    return found


def _exchanges(data: str) -> Sequence[Exchange]:
    if data == "prices":
        return _prices()
    questions = [question for question, _ in price_questions()]
    if data == "by heart":
        # One answer for all that is asked of a product, and no word of the question in it.
        answers = [" ".join(answer.split()[:12]) for _, answer in exchanges()[1::2]][: len(PRODUCTS)]
        return [(question, answers[place % len(PRODUCTS)]) for place, question in enumerate(questions)]
    if data == "one answer":
        return [(question, _prices()[0][1]) for question in questions]
    # The other half taught the tiny base to write.
    return exchanges("sales.zh.jsonl") if data == "chinese" else exchanges()[1::2]


def run_study(study: Study, folder: Path) -> Recorder:
    """Train it; its events."""
    found = _exchanges(study.data)
    return train(
        folder,
        training=found[: study.training],
        held_out=found[-study.held_out :] if study.held_out else [],
        base=small_model_folder() if study.real else None,
        **study.config,
    )


def settings_of(study: Study) -> Settings:
    """What the run was trained with."""
    config = TrainingConfig.model_validate({**BASE, **study.config})
    return Settings(**{name: getattr(config, name) for name in Settings.__dataclass_fields__})


def record_of(told: Recorder) -> Record:
    """What the rules are given of a run's events."""
    failed = told.of("failed")
    progress = told.of("progress")
    broke = failed[0]["values"].get("step") if failed and failed[0]["code"] == "not_a_number" else None
    return Record(
        [TrainPoint(e["step"], e["loss"], e["epoch"], e["grad_norm"]) for e in told.of("metric")],
        [EvalPoint(e["step"], e["eval_loss"]) for e in told.of("eval")],
        [SampleAnswer(e["step"], e["prompt"], e["text"], e["copied"]) for e in told.of("sample")],
        total_steps=progress[-1]["total_steps"] if progress else None,
        broke_at=broke,
    )


def kept(name: str) -> Record:
    """The recorded curve of a study."""
    found = json.loads((CURVES / f"{name}.json").read_text("utf-8"))
    return Record(
        [TrainPoint(*point) for point in zip(*found["train"].values(), strict=True)],
        [EvalPoint(*point) for point in zip(*found["evals"].values(), strict=True)],
        total_steps=found["total_steps"],
    )


def _write(name: str, study: Study, record: Record) -> None:
    train_columns = {field: [_short(getattr(p, field)) for p in record.train] for field in TrainPoint._fields}
    evals = {field: [_short(getattr(p, field)) for p in record.evals] for field in EvalPoint._fields}
    made = {
        "base": "SmolLM2-135M-Instruct" if study.real else "the tiny base of tests/support/small_runs.py",
        "data": study.data,
        "training": study.training,
        "held_out": study.held_out,
        "config": {**BASE, **study.config},
        "by": "python -m tests.diagnosis.studies",
        "torch": torch.__version__,
    }
    whole = {"made": made, "total_steps": record.total_steps, "train": train_columns, "evals": evals}
    (CURVES / f"{name}.json").write_text(json.dumps(whole) + "\n", "utf-8")


def _short(value: float | None) -> float | None:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def main(arguments: list[str]) -> None:
    torch.set_num_threads(1)
    CURVES.mkdir(exist_ok=True)
    only = [argument for argument in arguments if not argument.startswith("--")]
    for name, study in STUDIES.items():
        if (study.real and "--real" not in arguments) or (only and name not in only):
            continue
        with tempfile.TemporaryDirectory() as folder:
            record = record_of(run_study(study, Path(folder) / "run"))
        _write(name, study, record)
        losses = [f"{p.loss:.2f}" for p in record.train if p.loss is not None]
        sys.stdout.write(f"{name}: {len(losses)} points, {losses[0]} -> {losses[-1]}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
