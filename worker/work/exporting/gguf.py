"""The merged model as one file for llama.cpp, Ollama and what else reads GGUF."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import gguf
import numpy as np
import torch
from transformers import AutoConfig, AutoTokenizer

from app.exports.card import CardStyle
from app.exports.ollama import Modelfile, Turn, modelfile
from app.exports.snippets import served_name, snippets_of
from app.jobs.events import Phase
from app.masking import ChatTokenizer, MaskingError
from app.runs.provenance import Provenance
from app.sentences import N_
from worker.work.exporting.about import write_about
from worker.work.exporting.gguf_layout import Layout, layout_of, weights_of, write_figures
from worker.work.exporting.gguf_vocabulary import Vocabulary, read_vocabulary
from worker.work.exporting.merging import merged_model, weights_size
from worker.work.exporting.quantizing import quantize, require_quantizer
from worker.work.exporting.rounding import note_rounding
from worker.work.exporting.task import ExportTask

# What is written here as it stands; the rest is made by the quantizer.
_WRITTEN: Final = ("f16", "q8_0")
_TRIMS: Final = N_(
    "The chat template takes white space off the ends of every message, and Ollama has no word for that: messages that are sent to "
    "Ollama should have none there."
)
_LARGEST_HALF: Final = 65504.0
_BLOCK: Final = 32


def write(task: ExportTask) -> None:
    """The file, a Modelfile for Ollama where its template is known, and the card."""
    precision = task.choice("precision")
    quantizer = None if precision in _WRITTEN else require_quantizer(task.input.quantizer_path, precision)
    config = AutoConfig.from_pretrained(task.base, local_files_only=True, trust_remote_code=False)
    layout = layout_of(config)
    vocabulary = read_vocabulary(task.adapter, config.vocab_size)
    # In fp16 a weight takes as much as in bf16; quantizing needs the whole and what comes of it at once.
    task.require_space(weights_size(task.base) * (2 if quantizer else 1) + (64 << 20))
    model = merged_model(task)
    provenance = task.provenance
    name = f"{served_name(provenance)}.{precision}.gguf"
    path = task.folder / (f"{name}.f16" if quantizer else name)
    _write_file(task, path, model, layout, vocabulary, "f16" if quantizer else precision)
    if quantizer:
        quantize(task, quantizer, path, task.folder / name, precision)
        path.unlink()
    note_rounding(task, model, layout, task.folder / name, precision)
    made = _modelfile(task, name, vocabulary, config)
    if made is None:
        task.note(
            N_(
                "There is no Modelfile: Ollama wants the chat template in a language of its own, and this one is of none of the "
                "families that are known, or its system prompt has signs that Ollama drops. llama.cpp reads the template from the "
                "file itself."
            )
        )
    else:
        task.write_text("Modelfile", made.text)
        if made.trims:
            task.note(_TRIMS)
    write_about(task, _style(task, [name, *(["Modelfile"] if made else [])], provenance))


def _style(task: ExportTask, files: list[str], provenance: Provenance) -> CardStyle:
    about = (
        f"`{provenance.base_model}`, tuned with LoRA on dialogues with SFT Studio, merged, as GGUF "
        f"({task.choice('precision')})."
    )
    # What is known of the file goes with it: what rounding costs, above all.
    about = "\n\n".join([about, *(note.sentence.english() for note in task.notes)])
    usage: list[str] = []
    for snippet in snippets_of("gguf", provenance, task.input.config, files, "this-folder"):
        usage += ["", *snippet.markdown()]
    return CardStyle(about, usage[1:], "gguf", ("gguf", "sft", "sft-studio"))


def _modelfile(task: ExportTask, name: str, vocabulary: Vocabulary, config: Any) -> Modelfile | None:
    """None where Ollama's language has no proven form of the template."""
    tokenizer = ChatTokenizer.from_folder(task.adapter)
    if arguments := task.provenance.template_arguments:
        tokenizer = tokenizer.rendering_with(arguments)

    def render(turns: Sequence[Turn], generation: bool) -> str:
        try:
            return tokenizer.render(turns, add_generation_prompt=generation)
        except MaskingError as error:
            raise ValueError(str(error)) from error

    end = task.input.end_of_turn
    if end is None:
        return None
    bos = vocabulary.tokens[vocabulary.bos_id] if vocabulary.add_bos and vocabulary.bos_id is not None else ""
    return modelfile(name, render, bos=bos, end_of_turn=end, context=int(config.max_position_embeddings))


def _template(folder: Path) -> str:
    found = AutoTokenizer.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False
    ).chat_template
    return str(found.get("default", "") if isinstance(found, dict) else found or "")


def _write_file(
    task: ExportTask, path: Path, model: Any, layout: Layout, vocabulary: Vocabulary, precision: str
) -> None:
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[layout.arch])
    _write_head(task, writer, precision)
    write_figures(writer, model.config)
    vocabulary.write(writer)
    _write_ends(task, writer, vocabulary)
    plan = [(name, weight, _kind(weight, precision)) for name, weight in weights_of(model, layout)]
    for name, weight, kind in plan:
        shape = (
            gguf.quant_shape_to_byte_shape(weight.shape, kind) if _is_packed(kind) else tuple(weight.shape)
        )
        size = weight.numel() * gguf.GGML_QUANT_SIZES[kind][1] // gguf.GGML_QUANT_SIZES[kind][0]
        dtype = np.dtype(np.uint8 if _is_packed(kind) else np.float16 if kind == _F16 else np.float32)
        writer.add_tensor_info(name, shape, dtype, size, raw_dtype=kind)
    task.phase(Phase.WRITING)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for done, (_name, weight, kind) in enumerate(plan):
        task.progress(done, len(plan))
        writer.write_tensor_data(_as_array(weight, kind))
    writer.close()
    _note_large(task, plan)


_F16: Final = gguf.GGMLQuantizationType.F16
_F32: Final = gguf.GGMLQuantizationType.F32
_Q8: Final = gguf.GGMLQuantizationType.Q8_0


def _is_packed(kind: gguf.GGMLQuantizationType) -> bool:
    return kind == _Q8


def _kind(weight: torch.Tensor, precision: str) -> gguf.GGMLQuantizationType:
    """Vectors stay in fp32, as llama.cpp wants norms and biases; so does what is too large for a half."""
    if weight.ndim < 2 or float(weight.abs().max()) > _LARGEST_HALF:
        return _F32
    if precision == "q8_0" and weight.shape[-1] % _BLOCK == 0:
        return _Q8
    return _F16


def _as_array(weight: torch.Tensor, kind: gguf.GGMLQuantizationType) -> np.ndarray[Any, Any]:
    values = weight.detach().to(torch.float32).contiguous().numpy()
    if kind == _Q8:
        packed: np.ndarray[Any, Any] = gguf.quants.quantize(values, kind)
        return packed
    return values.astype(np.float16) if kind == _F16 else values


def _note_large(task: ExportTask, plan: list[tuple[str, torch.Tensor, Any]]) -> None:
    large = [name for name, weight, kind in plan if weight.ndim > 1 and kind == _F32]
    if large:
        task.note(
            N_("Some weights are too large for a half and stay in fp32: %(names)s."),
            names=", ".join(large[:5]),
        )


def _write_head(task: ExportTask, writer: gguf.GGUFWriter, precision: str) -> None:
    provenance = task.provenance
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(provenance.run)
    if provenance.base_licence:
        writer.add_license(provenance.base_licence)
    writer.add_base_model_count(1)
    writer.add_base_model_name(0, provenance.base_model)
    writer.add_string("sft_studio.version_hash", provenance.version_hash)
    writer.add_string("sft_studio.arrays_hash", provenance.arrays_hash)
    writer.add_file_type(
        gguf.LlamaFileType.MOSTLY_Q8_0 if precision == "q8_0" else gguf.LlamaFileType.MOSTLY_F16
    )
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def _write_ends(task: ExportTask, writer: gguf.GGUFWriter, vocabulary: Vocabulary) -> None:
    """Special tokens and the template: generation ends on what ends a turn, as in the studio."""
    tokenizer: Any = AutoTokenizer.from_pretrained(
        task.adapter, local_files_only=True, trust_remote_code=False
    )
    end = task.input.end_of_turn_id
    ids = {
        "bos": None if vocabulary.add_bos else tokenizer.bos_token_id,
        "eos": end if end is not None else tokenizer.eos_token_id,
        "eot": end,
        "pad": tokenizer.pad_token_id,
        "unk": tokenizer.unk_token_id,
    }
    for name, number in ids.items():
        if number is not None:
            getattr(writer, f"add_{name}_token_id")(int(number))
    writer.add_chat_template(_template(task.adapter))
