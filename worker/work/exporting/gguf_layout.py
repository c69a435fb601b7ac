"""Kinds of models as llama.cpp knows them: which figures stand in the head of a GGUF file, and how weights are laid out."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import gguf
import numpy as np
import torch

from app.sentences import N_, FailureCode
from worker.work.protocol import JobFailed

_UNKNOWN_KIND: Final = N_(
    "Models of the kind %(kind)s are not written as GGUF here (known: %(known)s). Export the merged model and convert it with "
    "llama.cpp's convert_hf_to_gguf.py."
)
_UNKNOWN_DETAIL: Final = N_(
    "This model has something that is not written as GGUF here (%(detail)s). Export the merged model and convert it with "
    "llama.cpp's convert_hf_to_gguf.py."
)
Weights = Iterator[tuple[str, torch.Tensor]]


@dataclass(frozen=True)
class Layout:
    """`arch` is llama.cpp's; `rows` lays a weight out anew where llama.cpp wants it otherwise."""

    arch: gguf.MODEL_ARCH
    rows: Callable[[str, torch.Tensor, Any], torch.Tensor]


def _as_it_is(_name: str, weight: torch.Tensor, _config: Any) -> torch.Tensor:
    return weight


def _llama_rows(name: str, weight: torch.Tensor, config: Any) -> torch.Tensor:
    """llama.cpp turns neighbouring values of a head together, transformers the two halves."""
    if ".q_proj." in name:
        return _interleaved(weight, config.num_attention_heads)
    if ".k_proj." in name:
        return _interleaved(weight, config.num_key_value_heads)
    return weight


def _interleaved(weight: torch.Tensor, heads: int) -> torch.Tensor:
    halves = weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
    return halves.swapaxes(1, 2).reshape(weight.shape)


LAYOUTS: Final[Mapping[str, Layout]] = {
    "llama": Layout(gguf.MODEL_ARCH.LLAMA, _llama_rows),
    "mistral": Layout(gguf.MODEL_ARCH.LLAMA, _llama_rows),
    "qwen2": Layout(gguf.MODEL_ARCH.QWEN2, _as_it_is),
    "qwen3": Layout(gguf.MODEL_ARCH.QWEN3, _as_it_is),
}
_ROPES: Final = ("default", "linear", "llama3", "yarn")


def layout_of(config: Any) -> Layout:
    """Of a model's config. Raises JobFailed for a kind, or a detail of it, that would come out as another model."""
    layout = LAYOUTS.get(config.model_type)
    if layout is None:
        raise JobFailed(
            FailureCode.EXPORT_UNSUPPORTED,
            _UNKNOWN_KIND,
            kind=config.model_type,
            known=", ".join(LAYOUTS),
        )
    window = getattr(config, "sliding_window", None)
    slides = (
        window and window < config.max_position_embeddings and getattr(config, "use_sliding_window", True)
    )
    rope = config.rope_parameters.get("rope_type", "default")
    odd = {
        f"hidden_act: {config.hidden_act}": config.hidden_act not in ("silu", "swish"),
        f"rope_type: {rope}": rope not in _ROPES,
        f"sliding_window: {window}": bool(slides),
        "partial_rotary_factor": config.rope_parameters.get("partial_rotary_factor", 1.0) != 1.0,
    }
    for detail, is_odd in odd.items():
        if is_odd:
            raise JobFailed(FailureCode.EXPORT_UNSUPPORTED, _UNKNOWN_DETAIL, detail=detail)
    return layout


def write_figures(writer: gguf.GGUFWriter, config: Any) -> None:
    """Everything that llama.cpp must know to compute what transformers computes."""
    head = head_width(config)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_rope_dimension_count(head)
    rope = config.rope_parameters
    writer.add_rope_freq_base(float(rope["rope_theta"]))
    kind = rope.get("rope_type", "default")
    if kind == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(float(rope["factor"]))
    elif kind == "yarn":
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(float(rope["factor"]))
        writer.add_rope_scaling_orig_ctx_len(int(rope["original_max_position_embeddings"]))


def head_width(config: Any) -> int:
    """Values of a head."""
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def weights_of(model: Any, layout: Layout) -> Weights:
    """Every weight under llama.cpp's name and in its layout. Raises JobFailed for one that it has no name for."""
    config = model.config
    for name, there, weight in _named(model, layout):
        yield there, layout.rows(name, weight, config)
    if config.rope_parameters.get("rope_type") == "llama3":
        yield "rope_freqs.weight", llama3_factors(config)


def read_back(model: Any, layout: Layout, path: Path) -> None:
    """A file's weights, as they are rounded there, in place of the model's own: a tensor at a time, in the model's precision."""
    stored = {one.name: one for one in gguf.GGUFReader(path).tensors}
    for name, there, weight in _named(model, layout):
        tensor = stored[there]
        values = (
            gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32).reshape(weight.shape)
        )
        # Where each row went when it was written, so that it goes back there.
        rows = torch.arange(weight.shape[0]).reshape(-1, *[1] * (weight.ndim - 1))
        weight[layout.rows(name, rows, model.config).flatten()] = torch.from_numpy(values).to(weight.dtype)


def _named(model: Any, layout: Layout) -> Iterator[tuple[str, str, torch.Tensor]]:
    """Every weight with transformers' name and llama.cpp's."""
    config = model.config
    names = gguf.get_tensor_name_map(layout.arch, config.num_hidden_layers)
    for name, weight in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        there = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if there is None:
            raise JobFailed(FailureCode.EXPORT_UNSUPPORTED, _UNKNOWN_DETAIL, detail=name)
        yield name, there, weight


def llama3_factors(config: Any) -> torch.Tensor:
    """By which each frequency is divided: Llama 3.1 stretches the slow ones and leaves the quick ones alone."""
    rope, head = config.rope_parameters, head_width(config)
    factor, known = rope["factor"], rope["original_max_position_embeddings"]
    longest, shortest = known / rope["low_freq_factor"], known / rope["high_freq_factor"]
    found = []
    for place in range(0, head, 2):
        length = 2 * math.pi * rope["rope_theta"] ** (place / head)
        if length < shortest:
            found.append(1.0)
        elif length > longest:
            found.append(factor)
        else:
            smooth = (known / length - rope["low_freq_factor"]) / (
                rope["high_freq_factor"] - rope["low_freq_factor"]
            )
            found.append(1 / ((1 - smooth) / factor + smooth))
    return torch.tensor(found, dtype=torch.float32)
