"""Preparing base models: out comes a plain folder that any library reads, and some things may not come in."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, Qwen3VLConfig

from app.masking import ChatTokenizer
from tests.support.said import said
from tests.support.tiny_llama import TOKENIZER_FILES
from tests.worker.conftest import Recorder
from tests.worker.work import doing
from worker.work import describing, models
from worker.work.protocol import Control, JobFailed
from worker.work.training.checkpoints import is_whole


def prepare(folder: Path, out: Path, emit: Recorder) -> dict[str, Any]:
    return doing.prepare({"source": "local", "reference": str(folder)}, out, emit, Control())


@pytest.mark.model
def test_the_bundled_model_becomes_a_plain_folder_that_answers(tmp_path: Path, emit: Recorder) -> None:
    result = doing.prepare({"source": "bundled"}, tmp_path, emit, Control())
    folder = Path(result["path"])
    assert {"config.json", "model.safetensors", *TOKENIZER_FILES} <= {path.name for path in folder.iterdir()}
    assert is_whole(folder)
    assert "quantization_config" not in json.loads((folder / "config.json").read_text())
    facts = ("parameters", "context_length", "vocabulary", "end_of_turn", "dtype", "architecture")
    assert [result["facts"][name] for name in facts] == [
        134515008,
        8192,
        49152,
        "<|im_end|>",
        "bfloat16",
        "LlamaForCausalLM",
    ]
    # Plain transformers, nothing of ours: the weights are right if the answer is.
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    question = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = tokenizer.apply_chat_template(
        question, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    answer = model.generate(**prompt, max_new_tokens=12, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    assert "Paris" in tokenizer.decode(answer)


def test_a_local_folder_keeps_its_weights_to_the_bit(
    small_model: Path, tmp_path: Path, emit: Recorder
) -> None:
    result = prepare(small_model, tmp_path / "out", emit)
    folder = Path(result["path"])
    before, after = (load_file(path / "model.safetensors") for path in (small_model, folder))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    facts = result["facts"]
    assert (facts["end_of_turn"], facts["context_length"], facts["dtype"]) == (
        "<|im_end|>",
        512,
        "bfloat16",
    )
    assert [event["phase"] for event in emit.of("phase")] == ["loading_model", "saving"]


def _remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _pickle_as(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(pickle.dumps({"w": [1, 2]}))


def _torch_zip_as(name: str) -> Callable[[Path], None]:
    return lambda folder: torch.save({"w": torch.zeros(2)}, folder / name)


def _edit_config(**values: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **values}))

    return edit


def _cut_weights(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])


def _tiny_vocabulary(folder: Path) -> None:
    config = LlamaConfig.from_pretrained(folder, vocab_size=100)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)


def _silent_template(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m.content }}{% endfor %}")


def _qwen3_vl(folder: Path) -> None:
    Qwen3VLConfig().save_pretrained(folder)


@pytest.mark.parametrize(
    ("breaks", "words"),
    [
        (_remove("config.json"), "no config.json"),
        (_remove("model.safetensors"), "no .safetensors weights"),
        (_pickle_as("pytorch_model.bin"), "pytorch_model.bin holds pickled data"),
        (_pickle_as("model.safetensors"), "model.safetensors holds pickled data"),
        (_torch_zip_as("notes.txt"), "notes.txt holds pickled data"),
        (_cut_weights, "damaged"),
        (_remove("chat_template.jinja"), "no chat template"),
        (_edit_config(quantization_config={"quant_method": "gptq", "bits": 4}), "already quantized"),
        (_edit_config(model_type="mine", auto_map={"AutoConfig": "mine.C"}), "code of its own"),
        (_tiny_vocabulary, "do not fit together"),
        (_silent_template, "where to stop"),
        (_edit_config(num_hidden_layers=10**6), "num_hidden_layers is 1000000"),
        (_edit_config(intermediate_size=10**12), "far larger model than the weight files hold"),
        (_edit_config(vocab_size=40000), r"other sizes than config.json says: (lm_head|model.embed_tokens)"),
        (_edit_config(num_key_value_heads=2), r"other sizes than config.json says: .*k_proj"),
        (_edit_config(hidden_size=-2), "cannot be loaded: .*negative"),
        (_edit_config(num_hidden_layers=3), "lack weights that the model needs: model.layers.2"),
        (_qwen3_vl, r"a kind \(Qwen3VL\) that has no plain text model"),
    ],
)
def test_what_cannot_be_a_base_model_is_refused_in_one_sentence(
    small_model: Path, tmp_path: Path, emit: Recorder, breaks: Callable[[Path], None], words: str
) -> None:
    breaks(small_model)
    with pytest.raises(JobFailed, match=words) as refusal:
        prepare(small_model, tmp_path / "out", emit)
    assert "\n" not in str(refusal.value)
    assert not list((tmp_path / "out").glob("model"))


def test_code_in_a_models_folder_is_never_run(small_model: Path, tmp_path: Path, emit: Recorder) -> None:
    trap = tmp_path / "sprung"
    (small_model / "mine.py").write_text(f"open({str(trap)!r}, 'w').close()")
    _edit_config(auto_map={"AutoConfig": "mine.C", "AutoModelForCausalLM": "mine.M"})(small_model)
    result = prepare(small_model, tmp_path / "out", emit)
    assert not trap.exists()
    assert "auto_map" not in json.loads((Path(result["path"]) / "config.json").read_text())


def test_weights_in_several_files_are_taken_whole(small_model: Path, tmp_path: Path, emit: Recorder) -> None:
    tensors = load_file(small_model / "model.safetensors")
    (small_model / "model.safetensors").unlink()
    names = sorted(tensors)
    halves = {"model-00001-of-00002.safetensors": names[:5], "model-00002-of-00002.safetensors": names[5:]}
    for file, part in halves.items():
        save_file({name: tensors[name] for name in part}, small_model / file, {"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: file for file, part in halves.items() for name in part}}
    (small_model / "model.safetensors.index.json").write_text(json.dumps(index))
    result = prepare(small_model, tmp_path / "out", emit)
    after = load_file(Path(result["path"]) / "model.safetensors")
    assert all(torch.equal(tensors[name], after[name]) for name in tensors)


def test_a_full_disk_is_told_before_anything_is_written(
    small_model: Path, tmp_path: Path, emit: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(models.shutil, "disk_usage", lambda path: usage._replace(free=1000))
    (tmp_path / "out").mkdir()
    with pytest.raises(JobFailed, match="make room first"):
        prepare(small_model, tmp_path / "out", emit)
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("source", "reference", "words"),
    [
        ("hub", "../../etc/passwd", "is not a hub id"),
        ("hub", "", "is not a hub id"),
        ("ftp", "x", "no source ftp"),
        ("local", "/no/such/folder", "does not exist"),
    ],
)
def test_a_reference_that_means_nothing_is_refused(
    tmp_path: Path, emit: Recorder, source: str, reference: str, words: str
) -> None:
    with pytest.raises(JobFailed, match=words):
        doing.prepare({"source": source, "reference": reference}, tmp_path, emit, Control())


def test_without_a_network_the_hub_is_said_to_be_out_of_reach(tmp_path: Path) -> None:
    job = tmp_path / "job.json"
    hub = {"source": "hub", "reference": "some/model", "revision": "main"}
    job.write_text(
        json.dumps({"kind": "prepare_base_model", "input": hub, "output_dir": str(tmp_path / "out")})
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "worker.work.child", str(job)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # Nothing listens on the discard port.
        env={**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)},
        cwd=Path(__file__).resolve().parents[3],
    )
    assert process.stdout
    assert process.stdin
    events = [json.loads(line) for line in process.stdout]
    assert process.wait(timeout=60) == 1
    process.stdin.close()
    process.stdout.close()
    assert "hub cannot be reached to fetch some/model" in said(events[-1])


def test_a_template_without_an_end_is_refused_with_its_own_sentence(small_model: Path) -> None:
    (small_model / "chat_template.jinja").write_text(
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}{{ messages }}"
    )
    with pytest.raises(JobFailed, match="chat template") as refused:
        describing.end_of_turn(ChatTokenizer.from_folder(small_model))
    assert refused.value.code == "template_refused"
    assert "%(" not in str(refused.value)
