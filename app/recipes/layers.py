"""Which layers of a base model an adapter goes on, by the names that people give them.

Pure: the worker fits a run's `lora_target_modules` to the loaded model with it, and the server to the names that were
noted when the model was prepared, so that both say the same before anything is trained.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from app.core.errors import Invalid
from app.sentences import N_, Sentence

# What projections are called where they are not called as in Llama, and the layers that hold several in one.
_QKV: Final = ("qkv_proj", "query_key_value", "c_attn", "Wqkv", "in_proj_qkv", "in_proj_qkvz")
_OTHER_NAMES: Final = {
    "q_proj": ("query", "query_proj", "Wq", "q_lin", "project_q", "q", "q_b_proj", *_QKV),
    "k_proj": ("key", "key_proj", "Wk", "k_lin", "project_k", "k", "kv_b_proj", *_QKV),
    "v_proj": ("value", "value_proj", "Wv", "v_lin", "project_v", "v", "kv_b_proj", *_QKV),
    "o_proj": ("out_proj", "dense", "c_proj", "out_lin", "attention_out", "Wo"),
    "gate_proj": ("gate_up_proj",),
    "up_proj": ("gate_up_proj", "dense_h_to_4h", "c_fc", "fc1", "fc_in"),
    "down_proj": ("dense_4h_to_h", "c_proj", "fc2", "fc_out"),
}
_OF_ATTENTION: Final = frozenset({"q_proj", "k_proj", "v_proj", "o_proj"})
_NUMBER: Final = re.compile(r"(?<=\.)\d+(?=\.)")


@dataclass(frozen=True)
class FittedLayers:
    """`names` as PEFT takes them: whole last parts of a layer's dotted name. `mapped`: asked for → taken instead."""

    names: tuple[str, ...]
    mapped: dict[str, str]

    @property
    def notes(self) -> list[Sentence]:
        """What was taken instead of what was asked for, a sentence each."""
        message = N_("This model has no layer called %(name)s: the adapter goes on %(found)s in its place.")
        return [Sentence.of(message, name=name, found=found) for name, found in self.mapped.items()]


def kinds_of(names: Iterable[str]) -> list[str]:
    """Dotted names with their layer numbers left out, each once, in the order met: model.layers.*.mlp.up_proj."""
    return list(dict.fromkeys(kind_of(name) for name in names))


def kind_of(name: str) -> str:
    """A dotted name with its layer number left out."""
    return _NUMBER.sub("*", name)


def fit_layers(wanted: Sequence[str], names: Iterable[str]) -> FittedLayers:
    """The layers of a model with these dotted `names` (or their `kinds_of`) that `wanted` asks for.

    A projection that this model calls otherwise, or holds together with others, is found by its other name. Raises
    Invalid for one that is in no layer: an adapter on the rest alone is not what was asked for.
    """
    kinds = kinds_of(names)
    chosen: list[str] = []
    mapped: dict[str, str] = {}
    for name in wanted:
        if any(_is(kind, name) for kind in kinds):
            found = name
        else:
            found = _other_name(name, kinds)
            mapped[name] = found
        if found not in chosen:
            chosen.append(found)
    return FittedLayers(tuple(chosen), mapped)


def _is(kind: str, name: str) -> bool:
    return kind == name or kind.endswith(f".{name}")


def _other_name(name: str, kinds: Sequence[str]) -> str:
    stem, _, leaf = name.rpartition(".")
    within = [kind for kind in kinds if not stem or stem in kind]
    for other in _OTHER_NAMES.get(leaf, ()):
        matching = [kind for kind in within if _is(kind, other) and _is_of(kind, leaf)]
        if matching:
            return _telling(matching[0], within, leaf)
    raise Invalid(
        N_("This base model has no layer %(name)s. lora_target_modules can be all-linear or of: %(names)s."),
        field="lora_target_modules",
        name=name,
        names=", ".join(dict.fromkeys(kind.rpartition(".")[2] for kind in kinds)),
    )


def _telling(kind: str, kinds: Sequence[str], leaf: str) -> str:
    """The shortest end of a layer's name that no layer of another use has: GPT-2's attn.c_proj and mlp.c_proj."""
    parts = kind.split(".")
    for length in range(1, len(parts)):
        end = ".".join(parts[-length:])
        if all(_is_of(other, leaf) for other in kinds if _is(other, end)):
            return end
    return kind


def _is_of(kind: str, leaf: str) -> bool:
    """Whether a layer is attention's exactly where the projection asked for is."""
    attention = any("att" in part.lower() or part == "mixer" for part in kind.split(".")[:-1])
    return attention == (leaf in _OF_ATTENTION)
