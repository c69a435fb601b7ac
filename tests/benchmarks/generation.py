"""Evaluation's answers: all prompts of a suite together, as an evaluation runs them, against one at a time."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.scoring.suites import built_in_suites
from tests.benchmarks.measuring import Goal, Result, Row, median, ratio

ROUNDS = 2
MAX_NEW_TOKENS = 48
SUITE = "sales-en"


def measure(model: Path, say: Callable[[str], None]) -> Result:
    """Both sides of an evaluation, base and tuned, by both ways."""
    from transformers.utils import logging as transformers_logging

    from worker.work.evaluation.loading import load_base
    from worker.work.evaluation.prompts import encode_prompt

    transformers_logging.disable_progress_bar()
    loaded = load_base(model)
    with tempfile.TemporaryDirectory(prefix="sft-studio-bench-") as folder:
        _make_adapter(model, Path(folder))
        loaded.use_adapter(Path(folder))
    suite = built_in_suites()[SUITE]
    prompts = [encode_prompt(loaded.tokenizer, prompt.messages) for prompt in suite.prompts]
    seconds: dict[str, list[float]] = {"ours": [], "single": []}
    tokens: dict[str, int] = {}
    texts: dict[str, dict[tuple[str, int], str]] = {}
    for number in range(ROUNDS):
        for way, answer in (("ours", _together), ("single", _one_at_a_time)):
            say(
                f"generation: round {number + 1} of {ROUNDS}, {'together' if way == 'ours' else 'one at a time'}"
            )
            began = time.perf_counter()
            answers = answer(loaded, prompts)
            seconds[way].append(time.perf_counter() - began)
            tokens[way] = sum(count for _, count in answers.values())
            texts[way] = {key: text for key, (text, _) in answers.items()}
    same = sum(texts["ours"][key] == texts["single"][key] for key in texts["ours"])
    return _result(seconds, tokens, same, len(prompts), str(loaded.dtype).removeprefix("torch."))


def _make_adapter(model: Path, folder: Path) -> None:
    """An adapter as the recipe “standard” shapes it. What it says does not matter, what it costs does."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(7)
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32, local_files_only=True)
    config = LoraConfig(r=64, lora_alpha=128, target_modules="all-linear", task_type="CAUSAL_LM")
    adapted = get_peft_model(base, config)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=1e-4)
    adapted.save_pretrained(folder)


def _together(loaded: Any, prompts: list[list[int]]) -> dict[tuple[str, int], tuple[str, int]]:
    """Text and tokens of each answer, as an evaluation's child process makes them."""
    from worker.work.evaluation.generation import generate
    from worker.work.protocol import Control

    found = {}
    for side in ("base", "tuned"):
        with loaded.side(side) as model:
            for answer in generate(loaded, model, prompts, MAX_NEW_TOKENS, Control()):
                found[side, answer.index] = (answer.text, answer.tokens)
    return found


def _one_at_a_time(loaded: Any, prompts: list[list[int]]) -> dict[tuple[str, int], tuple[str, int]]:
    """The same with transformers' own generate(), greedy, one prompt after another."""
    import torch

    found = {}
    for side in ("base", "tuned"):
        with loaded.side(side) as model, torch.inference_mode():
            for index, prompt in enumerate(prompts):
                ids = torch.tensor([prompt])
                output = model.generate(
                    input_ids=ids,
                    attention_mask=torch.ones_like(ids),
                    max_new_tokens=MAX_NEW_TOKENS,
                    do_sample=False,
                    eos_token_id=sorted(loaded.stop_ids),
                    pad_token_id=min(loaded.stop_ids),
                )
                answer = [
                    token for token in output[0, len(prompt) :].tolist() if token not in loaded.stop_ids
                ]
                text = loaded.tokenizer.encoder.tokenizer.decode(answer, skip_special_tokens=True).strip()
                found[side, index] = (text, len(answer))
    return found


def _result(
    seconds: dict[str, list[float]], tokens: dict[str, int], same: int, prompts: int, precision: str
) -> Result:
    names = {"ours": "SFT Studio, together", "single": "transformers generate(), one at a time"}
    speed = {way: tokens[way] / median(times) for way, times in seconds.items()}
    faster = speed["ours"] / speed["single"]
    return Result(
        name="generation",
        columns=("", "tokens/s", "× one at a time", "seconds"),
        rows=[
            Row(
                names[way],
                (f"{speed[way]:.0f}", f"{speed[way] / speed['single']:.2f}", f"{median(seconds[way]):.1f}"),
            )
            for way in seconds
        ],
        compared=(
            f"the suite {SUITE}, {prompts} prompts, answers of base and tuned (LoRA r 64 on all linear layers), greedy, at most "
            f"{MAX_NEW_TOKENS} new tokens, {precision}, {ROUNDS} rounds in alternation in one process."
        ),
        goals=[Goal("generation, times one prompt at a time", faster, 4.0, unit="×")],
        raw={
            "tokens_per_second": speed,
            "seconds": seconds,
            "times": ratio(seconds["ours"], seconds["single"]),
        },
        notes=[
            f"{same} of {2 * prompts} answers are the same to the letter; in {precision} a batch rounds otherwise than a single row"
        ],
        packages=("torch", "transformers", "peft"),
    )
