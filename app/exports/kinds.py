"""What a run can be exported as. A new kind is an entry here and the module of its name in `worker/work/exporting`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from app.core.errors import Invalid
from app.interop.handing import TOOLS
from app.recipes.config import TrainingConfig
from app.runs.beginning import Beginning
from app.sentences import N_


@dataclass(frozen=True)
class Choice:
    """Something that is chosen when a kind is asked for; `values` with their labels, the first is the default."""

    name: str
    label: str
    values: tuple[tuple[str, str], ...]

    @property
    def default(self) -> str:
        """What is taken where nothing is said."""
        return self.values[0][0]


@dataclass(frozen=True)
class ExportKind:
    """`title` and `text` are untranslated; `icon_name` is one of the vendored icons. `carries_data`: dialogues of the
    version are among the files, so that whoever erases one must find them.
    """

    name: str
    title: str
    text: str
    icon_name: str
    choices: tuple[Choice, ...] = ()
    carries_data: bool = False


GGUF: Final = "gguf"
# Whose files llama.cpp was seen to read as transformers computes them: transformers' names of their classes, as config.json has them, and
# of their kinds.
GGUF_MODELS: Final = {
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "mistral",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
}
_BASE_MODEL: Final = Choice(
    "base_model",
    N_("Base model"),
    (("hub", N_("by its id on the hub")), ("folder", N_("in its folder on this server"))),
)
_OTHERWISE: Final = Choice(
    "otherwise",
    N_("What it has no option for"),
    (("refuse", N_("is refused by name")), ("leave_out", N_("is left out and said"))),
)
KINDS: Final[tuple[ExportKind, ...]] = (
    ExportKind(
        "adapter",
        N_("LoRA adapter"),
        N_(
            "The adapter with tokenizer, chat template and model card; it is loaded onto the base model with PEFT."
        ),
        "package",
    ),
    ExportKind(
        "merged",
        N_("Merged model"),
        N_("One model of its own in safetensors, for transformers, vLLM and whatever reads a model folder."),
        "merge",
    ),
    ExportKind(
        GGUF,
        N_("GGUF"),
        N_(
            "One file for llama.cpp and what is built on it, with a Modelfile for Ollama where its template is known."
        ),
        "cpu",
        (
            Choice(
                "precision",
                N_("Precision"),
                (
                    ("f16", N_("f16: as exact as here")),
                    ("q8_0", N_("q8_0: half the size, next to no difference")),
                    ("q6_k", N_("q6_k: two fifths; needs llama-quantize on the worker")),
                    ("q5_k_m", N_("q5_k_m: a third; needs llama-quantize on the worker")),
                    ("q4_k_m", N_("q4_k_m: three tenths; needs llama-quantize on the worker")),
                ),
            ),
        ),
    ),
    ExportKind(
        "llamafactory",
        "LLaMA-Factory",
        N_("A folder that LLaMA-Factory trains as it stands: its YAML, and the tokens of the mask check."),
        "external-link",
        (_BASE_MODEL, _OTHERWISE),
        carries_data=True,
    ),
    ExportKind(
        "axolotl",
        "Axolotl",
        N_("A folder that Axolotl trains as it stands: its YAML, and the tokens of the mask check."),
        "external-link",
        (_BASE_MODEL, _OTHERWISE),
        carries_data=True,
    ),
    ExportKind(
        "trl",
        "TRL",
        N_("A script for TRL's SFTTrainer, the run's numbers beside it, and the tokens of the mask check."),
        "external-link",
        (_BASE_MODEL, _OTHERWISE),
        carries_data=True,
    ),
    ExportKind(
        "unsloth",
        "Unsloth",
        N_("A script for Unsloth, the run's numbers beside it, and the tokens of the mask check."),
        "external-link",
        (_BASE_MODEL, _OTHERWISE),
        carries_data=True,
    ),
)
BY_NAME: Final = {kind.name: kind for kind in KINDS}


def kinds_of(config: TrainingConfig, begins: Beginning | None) -> tuple[ExportKind, ...]:
    """Those that a run can have with this config and beginning: a full fine-tune has no adapter, and what trains elsewhere begins at
    the base model, as a run that began from another one did not."""
    return tuple(
        kind
        for kind in KINDS
        if (config.use_peft or kind.name != "adapter") and not (begins and kind.name in TOOLS)
    )


def require_kind(name: str) -> ExportKind:
    """The kind of this name. Raises Invalid naming those there are."""
    if name not in BY_NAME:
        raise Invalid(
            N_("A run cannot be exported as “%(name)s”. Use one of: %(names)s."),
            field="kind",
            name=name,
            names=", ".join(BY_NAME),
        )
    return BY_NAME[name]


def read_choices(kind: ExportKind, given: Mapping[str, str]) -> dict[str, str]:
    """Every choice of the kind, as given or by default. Raises Invalid naming the field that is wrong."""
    known = {choice.name: choice for choice in kind.choices}
    for name, value in given.items():
        if name not in known:
            raise Invalid(
                N_("“%(kind)s” has no choice “%(name)s”. It has: %(names)s."),
                field=f"choices.{name}",
                kind=kind.name,
                name=name,
                names=", ".join(known) or "–",
            )
        allowed = [one for one, _label in known[name].values]
        if value not in allowed:
            raise Invalid(
                N_("%(name)s cannot be “%(value)s”. Use one of: %(names)s."),
                field=f"choices.{name}",
                name=name,
                value=value,
                names=", ".join(allowed),
            )
    return {name: given.get(name, choice.default) for name, choice in known.items()}
