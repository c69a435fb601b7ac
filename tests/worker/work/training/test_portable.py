"""The adapter's folder on another machine: nothing there knows this program, and the base model came from somewhere else."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, LlamaConfig

from app.masking import ChatTokenizer
from tests.worker.conftest import IGNORE_INDEX, PROVENANCE, Recorder, write_arrays_file
from tests.worker.work.doing import train
from worker.work.evaluation.generation import generate
from worker.work.evaluation.loading import LoadedModel
from worker.work.evaluation.prompts import encode_prompt
from worker.work.protocol import Control

JobInput = Callable[..., dict[str, Any]]
QUESTION = [{"role": "user", "content": "What does plan 3 cost?"}]
ANSWER = "What would it have to do for you?"
# Written for somebody who has the card and nothing else.
ELSEWHERE = """
import json, sys
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, LlamaConfig, AutoTokenizer
base, folder, question = sys.argv[1:]
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), folder).eval()
tokenizer = AutoTokenizer.from_pretrained(folder)
prompt = tokenizer.apply_chat_template(
    json.loads(question), add_generation_prompt=True, return_tensors="pt", return_dict=True
)
end = tokenizer.convert_tokens_to_ids("<|im_end|>")
ids = model.generate(**prompt, max_new_tokens=30, do_sample=False, eos_token_id=end)[0, prompt["input_ids"].shape[1]:]
print(json.dumps({"text": tokenizer.decode(ids), "studio": [name for name in sys.modules if name in ("app", "worker")]}))
"""


@pytest.fixture
def untaught(small_model: Path) -> tuple[Path, int]:
    """A model whose end-of-turn token was added and never trained, and that token."""
    token = ChatTokenizer.from_folder(small_model, trusted=True).added_tokens["<|im_end|>"]
    # Larger than usual, so that its logits are as far apart as those of a trained model.
    config = LlamaConfig.from_pretrained(small_model, hidden_size=64, head_dim=32, initializer_range=0.3)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.get_input_embeddings().weight.data[token] = 0
    model.save_pretrained(small_model)
    return small_model, token


def learn_by_heart(job: dict[str, Any], folder: Path, token: int) -> dict[str, Any]:
    tokenizer = ChatTokenizer.from_folder(folder, trusted=True)
    prompt = encode_prompt(tokenizer, QUESTION)
    answer = [*tokenizer.encoder.tokenizer.encode(ANSWER, add_special_tokens=False).ids, token]
    sample = ([*prompt, *answer], [IGNORE_INDEX] * len(prompt) + answer)
    arrays_hash = write_arrays_file(Path(job["arrays"]), [sample] * 2, [0, 0])
    return {**job, "arrays_hash": arrays_hash, "base_model_path": str(folder), "end_of_turn_id": token}


def test_the_adapter_gives_the_same_answer_where_nothing_knows_this_program(
    job_input: JobInput, untaught: tuple[Path, int], tmp_path: Path, emit: Recorder, control: Control
) -> None:
    base, token = untaught
    settings = {"max_steps": 120, "learning_rate": 1e-2, "lora_r": 16, "trainable_tokens": "end_of_turn"}
    job = learn_by_heart(job_input(validation=0, logging_steps=20, **settings), base, token)
    result = train(job, tmp_path / "out", emit, control)
    folder = tmp_path / "out" / result["adapter"]

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    tokenizer = ChatTokenizer.from_folder(base, trusted=True)
    loaded = LoadedModel(model, tokenizer, frozenset({token}), torch.device("cpu"), torch.float32, 512)
    loaded.use_adapter(folder)
    with loaded.side("tuned") as tuned:
        [here] = generate(loaded, tuned, [encode_prompt(tokenizer, QUESTION)], 30, Control())
    assert (here.text, here.finish_reason) == (ANSWER, "stop")

    away = tmp_path / "elsewhere"
    away.mkdir()
    found = subprocess.run(
        [sys.executable, "-I", "-c", ELSEWHERE, str(base), str(folder), json.dumps(QUESTION)],
        cwd=away,
        env={"PATH": os.environ["PATH"], "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(found.stdout.splitlines()[-1]) == {"text": f"{ANSWER}<|im_end|>", "studio": []}

    config = json.loads((folder / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["revision"]) == ("org/chat", "c" * 40)
    for path in folder.rglob("*"):
        assert str(tmp_path) not in path.read_text("utf-8", errors="replace"), (
            f"{path.name} names a folder here"
        )
    card = (folder / "README.md").read_text("utf-8")
    head = yaml.safe_load(card.split("---\n")[1])
    assert (head["base_model"], head["license"], head["library_name"]) == ("org/chat", "apache-2.0", "peft")
    for fact in (PROVENANCE["version_hash"], PROVENANCE["arrays_hash"], "120 of 120 steps", "Recipe: quick"):
        assert fact in card
    about = json.loads((folder / "sft_studio.json").read_text())
    assert about["config"]["trainable_tokens"] == "end_of_turn"
    assert about["provenance"]["run"] == PROVENANCE["run"]
