"""The same question has the same answer in the studio, in plain PEFT, in the merged model and in llama.cpp."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from peft import PeftModel
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

from app.exports import quantizers
from app.masking import ChatTokenizer
from tests.support.llama_cpp import llama_server
from tests.support.taught import ANSWER, QUESTION, Taught
from tests.worker.conftest import PROVENANCE
from worker.work.exporting import work
from worker.work.protocol import Control, JobFailed

UNHEARD = [
    *(
        {"role": role, "content": text}
        for role, text in (("system", "Ähnlich; 你好。"), ("user", "It's 12345?\n\n  So."))
    ),
]


def export(taught: Taught, folder: Path, kind: str, **choices: str) -> Path:
    result = work.run(taught.export(kind, **choices), folder, lambda *_event, **_payload: None, Control())
    return folder / result.folder


def ids_of(taught: Taught, messages: list[dict[str, str]]) -> torch.Tensor:
    tokenizer = AutoTokenizer.from_pretrained(taught.adapter)
    found = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    ids: torch.Tensor = found["input_ids"]
    return ids


@torch.inference_mode()
def answer_of(taught: Taught, model: object) -> str:
    ids = ids_of(taught, QUESTION)
    written = model.generate(ids, max_new_tokens=30, do_sample=False, eos_token_id=taught.token)  # type: ignore[attr-defined]
    text: str = AutoTokenizer.from_pretrained(taught.adapter).decode(written[0, ids.shape[1] :])
    return text


@torch.inference_mode()
def logits_of(model: object, ids: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = model(ids).logits[0]  # type: ignore[operator]
    return found


@pytest.fixture(scope="module")
def plain(taught: Taught) -> object:
    base = AutoModelForCausalLM.from_pretrained(taught.base, dtype=torch.float32)
    return PeftModel.from_pretrained(base, str(taught.adapter)).eval()


def test_the_merged_model_is_the_adapted_one_and_loads_where_nothing_knows_this_program(
    taught: Taught, plain: object, tmp_path: Path
) -> None:
    folder = export(taught, tmp_path, "merged")
    merged = AutoModelForCausalLM.from_pretrained(folder, dtype="auto").eval()
    assert answer_of(taught, merged) == answer_of(taught, plain) == f"{ANSWER}<|im_end|>"
    for messages in (QUESTION, UNHEARD):
        ids = ids_of(taught, messages)
        torch.testing.assert_close(logits_of(merged, ids), logits_of(plain, ids), atol=2e-3, rtol=0)
    (weights,) = folder.glob("*.safetensors")
    with safe_open(weights, "pt") as opened:
        assert not any("lora" in name or "base_layer" in name for name in opened.keys())  # noqa: SIM118
    assert (folder / "generation_config.json").is_file()
    for path in folder.rglob("*"):
        assert str(taught.base.parent).encode() not in path.read_bytes(), f"{path.name} names a folder here"
    card = (folder / "README.md").read_text("utf-8")
    head = yaml.safe_load(card.split("---\n")[1])
    assert (head["base_model"], head["license"], head["library_name"]) == (
        "org/chat",
        "apache-2.0",
        "transformers",
    )
    for fact in (PROVENANCE["version_hash"], taught.arrays_hash, "was not judged"):
        assert fact in card
    python = (
        card.split("```python\n")[1]
        .split("```")[0]
        .replace("this-folder", str(folder))
        .replace("Hello", QUESTION[0]["content"])
    )
    told = subprocess.run(
        [sys.executable, "-I", "-c", python], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert told.stdout.strip() == ANSWER


def test_the_weights_keep_the_precision_of_the_base_model(taught: Taught, tmp_path: Path) -> None:
    half = tmp_path / "half"
    AutoModelForCausalLM.from_pretrained(taught.base, dtype=torch.bfloat16).save_pretrained(half)
    job = taught.export("merged").model_copy(update={"base_model_path": str(half)})
    folder = tmp_path / "out" / work.run(job, tmp_path / "out", lambda *_e, **_p: None, Control()).folder
    with safe_open(folder / "model.safetensors", "pt") as opened:
        assert {opened.get_tensor(name).dtype for name in opened.keys()} == {torch.bfloat16}  # noqa: SIM118


def merged_in_halves(taught: Taught) -> object:
    """The merged model with its matrices rounded as a file in f16 stores them, computed with in fp32."""
    base = AutoModelForCausalLM.from_pretrained(taught.base, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, str(taught.adapter)).merge_and_unload().eval()
    for weight in model.parameters():
        if weight.ndim > 1:
            weight.data = weight.data.half().float()
    return model


def test_llama_cpp_answers_the_same_from_the_file(taught: Taught, plain: object, tmp_path: Path) -> None:
    folder = export(taught, tmp_path, "gguf", precision="f16")
    (path,) = folder.glob("*.gguf")
    read_back = AutoModelForCausalLM.from_pretrained(folder, gguf_file=path.name, dtype=torch.float32).eval()
    assert answer_of(taught, read_back) == answer_of(taught, plain)
    # Rounding to halves is all that the file does. How far that alone moves logits is the model's own: with these weights, random and
    # large, and by how each processor adds up while it trains them, by 0.1 to 0.2. So the file is held to the rounded model.
    halves = merged_in_halves(taught)
    for messages in (QUESTION, UNHEARD):
        ids = ids_of(taught, messages)
        torch.testing.assert_close(logits_of(read_back, ids), logits_of(halves, ids), atol=2e-3, rtol=0)
    studio = ChatTokenizer.from_folder(taught.base, trusted=True)
    with llama_server(path) as server:
        for messages in (QUESTION, UNHEARD):
            text = studio.render(messages, add_generation_prompt=True)
            assert server.post("/apply-template", json={"messages": messages}).json()["prompt"] == text
            asked = {"content": text, "add_special": True, "parse_special": True}
            tokens = server.post("/tokenize", json=asked).json()["tokens"]
            assert tokens == ids_of(taught, messages)[0].tolist()
        asked = {"messages": QUESTION, "temperature": 0, "max_tokens": 30}
        (choice,) = server.post("/v1/chat/completions", json=asked).json()["choices"]
        assert (choice["message"]["content"], choice["finish_reason"]) == (ANSWER, "stop")
        # llama.cpp rounds what it multiplies weights with to halves too, and what it keeps of earlier tokens: that moves as much again.
        for messages in (QUESTION, UNHEARD):
            text = studio.render(messages, add_generation_prompt=True)
            asked = {"prompt": text, "n_predict": 1, "n_probs": 40, "temperature": 0}
            (told,) = server.post("/completion", json=asked).json()["completion_probabilities"]
            likeliest = torch.tensor([one["id"] for one in told["top_logprobs"]])
            theirs = torch.tensor([one["logprob"] for one in told["top_logprobs"]])
            ours = logits_of(halves, ids_of(taught, messages))[-1].log_softmax(-1)[likeliest]
            assert len(likeliest) == 40
            torch.testing.assert_close(theirs, ours, atol=0.2, rtol=0)
    assert 'SYSTEM """You are a helpful AI assistant named SmolLM' in (folder / "Modelfile").read_text()


def test_a_file_of_half_the_size_answers_the_same(taught: Taught, tmp_path: Path) -> None:
    folder = export(taught, tmp_path, "gguf", precision="q8_0")
    (path,) = folder.glob("*.q8_0.gguf")
    with llama_server(path) as server:
        asked = {"messages": QUESTION, "temperature": 0, "max_tokens": 30}
        (choice,) = server.post("/v1/chat/completions", json=asked).json()["choices"]
    assert choice["message"]["content"] == ANSWER


def test_what_nobody_can_quantize_here_is_refused_before_the_work(
    taught: Taught, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(quantizers, "_PACKAGE", "no_such_package")
    with pytest.raises(
        JobFailed, match=r"q4_k_m is made by llama\.cpp's llama-quantize, which is not installed"
    ):
        export(taught, tmp_path / "out", "gguf", precision="q4_k_m")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_kind_of_model_that_is_not_known_is_refused(taught: Taught, tmp_path: Path) -> None:
    strange = tmp_path / "strange"
    strange.mkdir()
    config = json.loads((taught.base / "config.json").read_text())
    (strange / "config.json").write_text(json.dumps({**config, "model_type": "olmo2"}))
    job = taught.export("gguf", precision="f16").model_copy(update={"base_model_path": str(strange)})
    with pytest.raises(JobFailed, match="kind olmo2 are not written as GGUF"):
        work.run(job, tmp_path / "out", lambda *_e, **_p: None, Control())


@pytest.mark.parametrize("choices", [{"kind": "merged"}, {"kind": "gguf", "precision": "f16"}])
def test_a_base_model_that_is_gone_is_said_to_be(
    taught: Taught, tmp_path: Path, choices: dict[str, str]
) -> None:
    asked = taught.export(**choices).model_copy(update={"base_model_path": str(tmp_path / "gone")})
    with pytest.raises(JobFailed, match=r"gone has no config\.json\. Prepare the base model again"):
        work.run(asked, tmp_path, lambda *_event, **_payload: None, Control())
