"""The adapter's folder on another machine: nothing there knows this program, and the base model came from somewhere else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch
import yaml
from transformers import AutoModelForCausalLM

from app.masking import ChatTokenizer
from tests.support.taught import ANSWER, QUESTION, Taught
from tests.worker.conftest import PROVENANCE
from worker.work.evaluation.generation import generate
from worker.work.evaluation.loading import LoadedModel
from worker.work.evaluation.prompts import encode_prompt
from worker.work.protocol import Control

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


def test_the_adapter_gives_the_same_answer_where_nothing_knows_this_program(
    taught: Taught, tmp_path: Path
) -> None:
    base, token, folder = taught.base, taught.token, taught.adapter
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
        assert str(base.parent) not in path.read_text("utf-8", errors="replace"), (
            f"{path.name} names a folder here"
        )
    card = (folder / "README.md").read_text("utf-8")
    head = yaml.safe_load(card.split("---\n")[1])
    assert (head["base_model"], head["license"], head["library_name"]) == ("org/chat", "apache-2.0", "peft")
    for fact in (PROVENANCE["version_hash"], taught.arrays_hash, "120 of 120 steps", "Recipe: quick"):
        assert fact in card
    about = json.loads((folder / "sft_studio.json").read_text())
    assert about["config"]["trainable_tokens"] == "end_of_turn"
    assert about["provenance"]["run"] == PROVENANCE["run"]
