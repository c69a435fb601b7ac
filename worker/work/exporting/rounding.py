"""What rounding did to a model: a GGUF file's weights are read back and asked what the run held out, beside the exact ones.

Weights alone are compared, computed in fp32; llama.cpp rounds what flows between them to 8 bits as well, which is less.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import gguf
import torch
from torch.nn.functional import cross_entropy

from app.jobs.events import Phase
from app.masking import IGNORE_INDEX, MaskArrays, MaskingError, Split, read_arrays
from app.sentences import N_, FailureCode
from worker.work.exporting.gguf_layout import Layout, read_back
from worker.work.exporting.task import ExportTask
from worker.work.protocol import JobFailed

_MEASURED: Final = N_(
    "Read back and asked the next token at %(tokens)d trained places of %(samples)d held-out conversations: a loss of %(rounded)s nats a "
    "token (%(exact)s before the file was written), and the same most likely token at %(same)s %% of them."
)
_MEASURED_ON_TRAINED: Final = N_(
    "Read back and asked the next token at %(tokens)d trained places of %(samples)d conversations that the run was trained on (none were "
    "held out): a loss of %(rounded)s nats a token (%(exact)s before the file was written), and the same most likely token at "
    "%(same)s %% of them."
)
_LOSES: Final = N_(
    "%(precision)s costs this model %(more)s nats a token, which readers notice: take a larger precision, or judge the answers before "
    "you rely on them."
)
_NOTHING_TO_ASK: Final = N_(
    "What rounding costs was not measured: the dialogues that the run was trained on are not here any more."
)
_NO_NUMBER: Final = N_(
    "The weights in %(name)s are no numbers or answer with none: ask for the export again, as f16 or with another release of "
    "llama.cpp's quantizer."
)
_STORED_OTHERWISE: Final = N_(
    "%(odd)d of %(all)d matrices have rows that are no multiple of 256 values long, which %(precision)s packs by: llama.cpp stored them "
    "in larger types (%(types)s). The file takes %(bits)s bits a weight."
)
_BITS: Final = N_("The file takes %(bits)s bits a weight (%(types)s).")
# What is asked: as many places as tell two decimals, and few enough that a large model answers in minutes.
_MOST_TOKENS: Final = 1024
# A rise of the loss from which on answers read worse: about a tenth in perplexity.
_NOTICED: Final = 0.1
_BLOCK: Final = 256


@dataclass(frozen=True)
class Question:
    """A conversation: int64[1, tokens] ids, and int64[tokens] labels that say which are asked."""

    ids: torch.Tensor
    labels: torch.Tensor


@dataclass(frozen=True)
class Answers:
    """Of all questions: the mean loss in nats a trained token, and the most likely token at each, int64[trained]."""

    loss: float
    likeliest: torch.Tensor


def note_rounding(task: ExportTask, model: Any, layout: Layout, path: Path, precision: str) -> None:
    """Tells what the file costs, and how its weights are stored. The model has the file's weights afterwards.

    Raises JobFailed where the file's answers are no numbers.
    """
    _note_types(task, path, precision)
    questions, held_out = _questions(task)
    if not questions:
        task.note(_NOTHING_TO_ASK)
        return
    task.phase(Phase.READING_BACK)
    told = _Told(task, 2 * len(questions))
    exact = asked(model, questions, told.one_more)
    read_back(model, layout, path)
    rounded = asked(model, questions, told.one_more)
    if not torch.tensor(rounded.loss).isfinite():
        raise JobFailed(FailureCode.NOT_A_NUMBER, _NO_NUMBER, name=path.name)
    same = float((exact.likeliest == rounded.likeliest).double().mean())
    task.note(
        _MEASURED if held_out else _MEASURED_ON_TRAINED,
        tokens=len(exact.likeliest),
        samples=len(questions),
        rounded=f"{rounded.loss:.3f}",
        exact=f"{exact.loss:.3f}",
        same=f"{100 * same:.1f}",
    )
    if rounded.loss - exact.loss > _NOTICED:
        task.note(_LOSES, precision=precision, more=f"{rounded.loss - exact.loss:.2f}")


@dataclass
class _Told:
    """Progress, a conversation at a time."""

    task: ExportTask
    total: int
    done: int = 0

    def one_more(self) -> None:
        self.done += 1
        self.task.progress(self.done, self.total)


@torch.inference_mode()
def asked(model: Any, questions: Sequence[Question], one_more: Callable[[], None]) -> Answers:
    """What the model says to each; `one_more` is called after each."""
    losses, likeliest = [], []
    for question in questions:
        targets = question.labels[1:]
        places = (targets != IGNORE_INDEX).nonzero().flatten()
        logits = model(question.ids, use_cache=False).logits[0, places].float()
        losses.append(cross_entropy(logits, targets[places], reduction="none").double())
        likeliest.append(logits.argmax(-1))
        one_more()
    return Answers(float(torch.cat(losses).mean()), torch.cat(likeliest))


def _questions(task: ExportTask) -> tuple[list[Question], bool]:
    """What was held out, else what was trained, as far as it is here as it was; whether it was held out."""
    try:
        arrays = read_arrays(task.input.arrays_path or "", task.provenance.arrays_hash)
    except MaskingError:
        return [], False
    held_out = _taken(arrays, Split.VALIDATION)
    return (held_out, True) if held_out else (_taken(arrays, Split.TRAIN), False)


def _taken(arrays: MaskArrays, split: Split) -> list[Question]:
    found, tokens = [], 0
    for index in arrays.places(split).tolist():
        ids, labels = (
            torch.from_numpy(values[:_MOST_TOKENS].astype("int64")) for values in arrays.sample(index)
        )
        if bool((labels[1:] != IGNORE_INDEX).any()):
            found.append(Question(ids[None], labels))
            tokens += len(ids)
        if tokens >= _MOST_TOKENS:
            break
    return found


def _note_types(task: ExportTask, path: Path, precision: str) -> None:
    """Of K-quants alone: the others are what they are called."""
    if "_k" not in precision:
        return
    tensors = [one for one in gguf.GGUFReader(path).tensors if len(one.shape) > 1]
    bits = 8 * sum(one.n_bytes for one in tensors) / sum(one.n_elements for one in tensors)
    counted = Counter(one.tensor_type.name.lower() for one in tensors)
    odd = Counter(one.tensor_type.name.lower() for one in tensors if one.shape[0] % _BLOCK)
    if odd:
        task.note(
            _STORED_OTHERWISE,
            odd=odd.total(),
            all=counted.total(),
            precision=precision,
            types=_list(odd),
            bits=f"{bits:.1f}",
        )
    else:
        task.note(_BITS, bits=f"{bits:.1f}", types=_list(counted))


def _list(counted: "Counter[str]") -> str:
    return ", ".join(f"{name} × {count}" for name, count in counted.most_common())
