"""llama.cpp's real quantizer makes the files smaller; what it costs is told, and whatever goes wrong with it is a sentence."""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from app.exports.quantizers import Quantizer
from tests.support import no_memory
from tests.support.llama_cpp import llama_server, quantizer
from tests.support.patience import HANGING_SECONDS
from tests.support.taught import ANSWER, QUESTION, Taught
from tests.support.workers import wait_until
from tests.worker.conftest import Recorder
from tests.worker.work.exporting.test_gguf_kinds import SMALL, TEXTS, byte_level, write_exactly
from worker.work.exporting import quantizing, work
from worker.work.exporting.gguf_layout import layout_of, read_back
from worker.work.exporting.quantizing import quantize
from worker.work.exporting.task import ExportTask
from worker.work.protocol import Cancelled, Control, JobFailed

# As llama.cpp mixes them: most of the matrices, and what it gives more bits.
MIXTURES = {"q4_k_m": {"Q4_K", "Q6_K"}, "q5_k_m": {"Q5_K", "Q6_K"}, "q6_k": {"Q6_K"}}
# What it takes instead for rows that are no multiple of 256.
INSTEAD = {"q4_k_m": {"Q5_0", "Q8_0"}, "q5_k_m": {"Q5_1", "Q8_0"}, "q6_k": {"Q8_0"}}


def script(folder: Path, text: str) -> Path:
    """A program that is no quantizer."""
    folder.mkdir(exist_ok=True)
    program = folder / "llama-quantize"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return program


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return quantizer(tmp_path_factory.mktemp("llama") / "bin")


def test_a_smaller_file_answers_the_same_and_says_what_it_costs(
    taught: Taught, program: Path, tmp_path: Path
) -> None:
    job = taught.export("gguf", precision="q4_k_m").model_copy(update={"quantizer_path": str(program)})
    emit = Recorder()
    result = work.run(job, tmp_path, emit, Control())
    folder = tmp_path / result.folder
    (path,) = folder.glob("*.gguf")
    assert path.name == "calls-v1.q4_k_m.gguf"
    with llama_server(path) as server:
        asked = {"messages": QUESTION, "temperature": 0, "max_tokens": 30}
        (choice,) = server.post("/v1/chat/completions", json=asked).json()["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == (ANSWER, "stop")
    notes = [note.sentence.english() for note in result.notes]
    # Its rows are 64 and 32 values long, which no K-quant packs by.
    (stored,) = (note for note in notes if "no multiple of 256" in note)
    (cost,) = (note for note in notes if note.startswith("Read back and asked the next token at"))
    assert "15 of 15 matrices" in stored
    # It learnt one answer by heart, twice, and nothing was held out.
    assert "at 20 trained places of 2 conversations that the run was trained on (none were held out)" in cost
    assert "and the same most likely token at 100.0 % of them" in cost
    assert cost in (folder / "README.md").read_text("utf-8")
    phases = [event["phase"] for event in emit.of("phase")]
    assert phases[-4:] == ["writing", "quantizing", "reading_back", "saving"]
    steps = [(event["step"], event["total_steps"]) for event in emit.of("progress")]
    assert (20, 20) in steps, "each tensor is told"


@pytest.mark.parametrize("precision", MIXTURES)
@pytest.mark.parametrize(("rows", "mixtures"), [(256, MIXTURES), (64, INSTEAD)], ids=["whole", "narrow"])
def test_what_is_read_back_is_what_llama_cpp_computes(
    program: Path, tmp_path: Path, rows: int, mixtures: dict[str, set[str]], precision: str
) -> None:
    """Rows of 256 values: real K-quants, a whole block of which shares its scales. Narrower ones: what stands in for them."""
    tokenizer = byte_level(use_regex=True)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    sizes: dict[str, Any] = {**SMALL, "hidden_size": rows, "intermediate_size": 2 * rows}
    config = LlamaConfig(**sizes, vocab_size=tokenizer.get_vocab_size())
    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()  # type: ignore[no-untyped-call]
    exact, small = tmp_path / "exact.gguf", tmp_path / "small.gguf"
    write_exactly(exact, model, tmp_path)
    quantize(a_task(tmp_path), Quantizer("program", program), exact, small, precision)
    kinds = {one.tensor_type.name for one in gguf.GGUFReader(small).tensors if len(one.shape) > 1}
    assert kinds == mixtures[precision]
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    read_back(model, layout_of(config), small)
    for name, weight in model.state_dict().items():
        off = float((weight - before[name]).norm() / before[name].norm())
        assert off < {"q4_k_m": 0.1, "q5_k_m": 0.05, "q6_k": 0.03}[precision], name
        assert off > 0.001 or weight.ndim == 1, name
    ids = tokenizer.encode(" ".join(TEXTS)).ids
    with torch.inference_mode():
        logits = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    # The beginning after which a word is likeliest by far: of control tokens and half letters llama.cpp tells nothing.
    words = {number for word, number in tokenizer.get_vocab().items() if word.isascii() and word.isalpha()}
    ahead = logits.topk(2).values.diff(dim=-1).abs()[:, 0].tolist()
    ends = [end for end in range(len(ids) // 4, len(ids)) if int(logits[end].argmax()) in words]
    end = max(ends, key=lambda place: ahead[place])
    here = logits[end]
    with llama_server(small, context=256) as server:
        asked = {
            "prompt": ids[: end + 1],
            "n_predict": 1,
            "n_probs": 200,
            "temperature": 0,
            "cache_prompt": False,
        }
        told = server.post("/completion", json=asked).json()["completion_probabilities"][0]["top_logprobs"]
    # It rounds what flows between the weights as well, so both are alike and not equal; of another layout nothing would be.
    there = torch.tensor([one["logprob"] for one in told])
    both = torch.stack([there, here[[one["id"] for one in told]]])
    assert len(told) == 200
    assert float(torch.corrcoef(both)[0, 1]) > 0.97


def a_task(folder: Path, control: Control | None = None) -> ExportTask:
    """One that nothing is read from but where it is made."""
    made = folder / "made"
    made.mkdir(exist_ok=True)
    return ExportTask(None, made, Recorder(), control or Control())  # type: ignore[arg-type]


def a_file(path: Path) -> Path:
    """A whole GGUF file of one tensor."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tensor("token_embd.weight", torch.ones(4, 32).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def refusal(program: Path, tmp_path: Path, **changes: Any) -> str:
    """What is said when this program is to make a file."""
    source = changes.get("source") or a_file(tmp_path / "source.gguf")
    with pytest.raises(JobFailed) as failed:
        quantize(a_task(tmp_path), Quantizer("program", program), source, tmp_path / "target.gguf", "q4_k_m")
    return f"{failed.value.code}: {failed.value}"


def test_its_own_words_say_why_it_failed(program: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(a_file(tmp_path / "whole.gguf").read_bytes()[:40])
    said = refusal(program, tmp_path, source=broken)
    assert said.startswith("unexpected: llama-quantize did not make the file: ")
    assert "failed to quantize" in said


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("exit 0", "llama-quantize did not make the file: –"),
        ("echo loading; echo no such type $3; exit 1", "did not make the file: no such type Q4_K_M"),
        (
            "kill -ILL $$",
            "died: llama-quantize crashed (signal SIGILL) before the file was whole: it may be built for another",
        ),
        (
            "kill -TERM $$",
            "died: llama-quantize was ended from outside (signal SIGTERM) before the file was whole",
        ),
        (
            f"exec {sys.executable} {no_memory.__file__}",
            "out_of_memory: The memory ran out before llama-quantize had written the file (memory allocation of",
        ),
        ("echo rubbish > $2", "is not the model that it was given"),
    ],
)
def test_a_program_that_makes_no_file_is_explained(tmp_path: Path, text: str, says: str) -> None:
    assert says in refusal(script(tmp_path / "bin", text), tmp_path)


def test_another_model_is_not_taken_for_this_one(tmp_path: Path) -> None:
    other = tmp_path / "other.gguf"
    writer = gguf.GGUFWriter(other, "llama")
    writer.add_tensor("token_embd.weight", torch.ones(4, 64).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert "(token_embd.weight)" in refusal(script(tmp_path / "bin", f"cp {other} $2"), tmp_path)


def test_a_program_for_another_machine_is_named(tmp_path: Path) -> None:
    program = script(tmp_path / "bin", "")
    program.write_bytes(b"\x7fELF nonsense")
    assert f"not_installed: llama-quantize cannot be started ({program})" in refusal(program, tmp_path)


def test_a_full_disk_is_called_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantizing, "free_bytes", lambda _folder: 4096)
    said = refusal(script(tmp_path / "bin", "echo iostream error; exit 1"), tmp_path)
    assert said.startswith("disk_full: The disk was full before llama-quantize had written the file")


def test_a_wish_to_stop_is_heard_while_it_says_nothing(tmp_path: Path) -> None:
    started = tmp_path / "pid"
    program = script(tmp_path / "bin", f"echo $$ > {started}.new; mv {started}.new {started}; exec sleep 600")
    control = Control()

    def stop_it() -> None:
        wait_until(started.exists, timeout_seconds=HANGING_SECONDS, what="its start")
        control.request_stop("cancel")

    thread = threading.Thread(target=stop_it)
    thread.start()
    with pytest.raises(Cancelled):
        quantize(
            a_task(tmp_path, control),
            Quantizer("program", program),
            a_file(tmp_path / "source.gguf"),
            tmp_path / "target.gguf",
            "q4_k_m",
        )
    thread.join(60)
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), signal.SIG_DFL)


def test_a_library_without_the_function_is_refused(tmp_path: Path) -> None:
    found = Quantizer("library", Path(gguf.__file__).parent / "nothing.so")
    with pytest.raises(
        JobFailed, match=r"llama-cpp-python did not make the file: error: .*nothing\.so cannot be used"
    ):
        quantize(a_task(tmp_path), found, a_file(tmp_path / "source.gguf"), tmp_path / "t.gguf", "q4_k_m")
