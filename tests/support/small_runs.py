"""Real training in a second: a tiny model that already writes English, fine-tuned by the worker's own code on sales dialogues.

The base is made once a machine (some seconds) and kept below `.data`; a run is `train(...)`, which gives its events.
"""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import torch
from filelock import FileLock
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, LlamaConfig

from app.files import APP_FOLDER
from tests.support.small_model import CACHE
from tests.worker.conftest import PROVENANCE, Recorder, write_arrays_file
from tests.worker.work import doing
from worker.work.protocol import Control, JobFailed

IGNORE_INDEX: Final = -100
VOCABULARY: Final = 800
START, END = "<|im_start|>", "<|im_end|>"
TEMPLATE: Final = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
PRETRAINING_STEPS: Final = 500
CONTEXT: Final = 512
# A question and its answer.
Exchange = tuple[str, str]


# What every run here is trained with, unless it says otherwise.
BASE: Final[dict[str, Any]] = {
    "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 1,
    "logging_steps": 1,
    "eval_steps": 10,
    "save_steps": 1_000_000,
    "lora_r": 8,
    "lora_alpha": 16,
    "early_stopping_patience": 0,
    "bf16": False,
    "sample_count": 0,
}


def exchanges(file: str = "sales.en.jsonl") -> list[Exchange]:
    """Questions and answers of bundled dialogues, in their order."""
    found = []
    for line in (APP_FOLDER / "samples" / file).read_text("utf-8").splitlines():
        messages = json.loads(line)["messages"]
        found += [
            (asked["content"], answered["content"])
            for asked, answered in pairwise(messages)
            if asked["role"] == "user" and answered["role"] == "assistant"
        ]
    return found


PRODUCTS: Final = (
    "mail",
    "phone",
    "import",
    "report",
    "chat",
    "calendar",
    "invoice",
    "export",
    "survey",
    "desk",
)
SIZES: Final = ("two", "three", "five", "eight", "ten", "twelve", "twenty", "forty")


def price_questions() -> list[Exchange]:
    """A pattern that can be learned and holds for what was not seen: what a module costs for a team of a size."""
    return [
        (
            f"What does the {product} module cost for {size} people?",
            f"For {size} people the {product} module is a fixed price. What should {product} do for your team of {size}?",
        )
        for size in SIZES
        for product in PRODUCTS
    ]


def base_folder() -> Path:
    """The tiny model with its tokenizer and template, as a folder that a run can start from."""
    folder = CACHE / f"small-runs-{VOCABULARY}-{PRETRAINING_STEPS}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE / "small-runs.lock"):
        if not (folder / "model.safetensors").is_file():
            folder.mkdir(exist_ok=True)
            _write_tokenizer(folder)
            _pretrained(folder).save_pretrained(folder)
    return folder


def _write_tokenizer(folder: Path) -> None:
    """Byte-level BPE learned from the dialogues themselves, with ChatML."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((text for pair in exchanges() for text in pair), trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": END, "pad_token": END}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")
    (folder / "chat_template.jinja").write_text(TEMPLATE, "utf-8")


def _pretrained(folder: Path) -> Any:
    """Two layers that have read half of the dialogues a few times."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    samples = [sample(tokenizer, exchange)[0] for exchange in exchanges()[::2]]
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        eos_token_id=1,
        bos_token_id=None,
        pad_token_id=1,
    )
    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32)  # type: ignore[no-untyped-call]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    order = torch.Generator().manual_seed(0)
    for _ in range(PRETRAINING_STEPS):
        chosen = torch.randint(len(samples), (4,), generator=order).tolist()
        width = min(min(len(samples[place]) for place in chosen), CONTEXT)
        ids = torch.tensor([samples[place][:width] for place in chosen])
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return model


def sample(tokenizer: Tokenizer, exchange: Exchange) -> tuple[list[int], list[int]]:
    """Ids and labels of an exchange; the answer with its end of turn is trained."""
    asked, answered = exchange
    prompt = tokenizer.encode(f"{START}user\n{asked}{END}\n{START}assistant\n").ids
    answer = tokenizer.encode(f"{answered}{END}").ids
    ids = [*prompt, *answer][:CONTEXT]
    return ids, [*[IGNORE_INDEX] * len(prompt), *answer][:CONTEXT]


def train(
    folder: Path,
    *,
    training: Sequence[Exchange],
    held_out: Sequence[Exchange],
    base: Path | None = None,
    **config: Any,
) -> Recorder:
    """The events of a run in `folder`; one that failed ends with a `failed` event, as a worker's child would tell."""
    told = Recorder()
    asked = job(folder, training=training, held_out=held_out, base=base, **config)
    try:
        told.events.append({"event": "result", **doing.train(asked, folder / "output", told, Control())})
    except JobFailed as failure:
        told.events.append({"event": "failed", **failure.failure.to_json()})
    return told


def job(
    folder: Path,
    *,
    training: Sequence[Exchange],
    held_out: Sequence[Exchange],
    base: Path | None = None,
    **config: Any,
) -> dict[str, Any]:
    """What a worker's child would be told to do, with the arrays in `folder`."""
    base = base or base_folder()
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    samples = [sample(tokenizer, exchange) for exchange in (*training, *held_out)]
    folder.mkdir(parents=True, exist_ok=True)
    arrays = folder / "arrays.safetensors"
    return {
        "arrays": str(arrays),
        "arrays_hash": write_arrays_file(arrays, samples, [0] * len(training) + [1] * len(held_out)),
        "base_model_path": str(base),
        "provenance": PROVENANCE,
        "config": {**BASE, **config},
        "resume_from": None,
    }
