"""How the files of an export are used: text to copy, with the template and the arguments that the run was trained with.

Pure: cards, pages and files show the same. What is program text is in no language.
"""

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from app.interop.handing import COMMANDS, TOOL_NAMES, command_of
from app.interop.launching import Launch
from app.recipes.config import TrainingConfig
from app.runs.provenance import Provenance

_QUESTION: Final = "Hello"
Language = Literal["python", "bash"]


@dataclass(frozen=True)
class Snippet:
    """`tool` is what reads the files, as it calls itself."""

    tool: str
    language: Language
    text: str

    def markdown(self) -> list[str]:
        """As lines of a card."""
        return [f"```{self.language}", *self.text.rstrip("\n").split("\n"), "```"]


def snippets_of(
    kind: str,
    provenance: Provenance,
    config: TrainingConfig,
    files: Sequence[str],
    folder: str,
    launch: Launch | None = None,
) -> list[Snippet]:
    """What to type once the files lie in `folder`; nothing for kinds that bring their own words. `launch` is the run's file of
    accelerate.
    """
    if kind == "adapter":
        return [peft(provenance, folder), vllm_adapter(provenance, config, folder)]
    if kind == "merged":
        return [transformers(provenance, folder), vllm(provenance, folder)]
    if kind == "gguf":
        (file,) = [name for name in files if name.endswith(".gguf")]
        found = [llama_cpp(provenance, f"{folder}/{file}")]
        return [*found, ollama(provenance, folder)] if "Modelfile" in files else found
    if kind in COMMANDS:
        return [Snippet(TOOL_NAMES[kind], "bash", f"cd {shlex.quote(folder)}\n{command_of(kind, launch)}")]
    return []


def served_name(provenance: Provenance) -> str:
    """What a server calls the model: the run's name in letters that addresses and shells leave alone."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", provenance.run).strip("-.").lower()
    return name[:60].rstrip("-.") or f"run-{provenance.run_id or 0}"


def peft(provenance: Provenance, folder: str) -> Snippet:
    """The adapter on its base model, which is fetched from the hub by its id."""
    revision = f", revision={provenance.base_revision!r}" if provenance.base_revision else ""
    return Snippet(
        "PEFT",
        "python",
        "\n".join(
            [
                "from peft import PeftModel",
                "from transformers import AutoModelForCausalLM, AutoTokenizer",
                "",
                f"folder = {folder!r}",
                f"base = AutoModelForCausalLM.from_pretrained({provenance.base_model!r}{revision})",
                "model = PeftModel.from_pretrained(base, folder)",
                *_asking(provenance),
            ]
        ),
    )


def transformers(provenance: Provenance, folder: str) -> Snippet:
    """A whole model."""
    return Snippet(
        "transformers",
        "python",
        "\n".join(
            [
                "from transformers import AutoModelForCausalLM, AutoTokenizer",
                "",
                f"folder = {folder!r}",
                'model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")',
                *_asking(provenance),
            ]
        ),
    )


def _asking(provenance: Provenance) -> list[str]:
    arguments = "".join(f", {name}={value!r}" for name, value in provenance.template_arguments.items())
    return [
        "tokenizer = AutoTokenizer.from_pretrained(folder)",
        f'messages = [{{"role": "user", "content": "{_QUESTION}"}}]',
        "prompt = tokenizer.apply_chat_template(",
        f'    messages, add_generation_prompt=True, return_tensors="pt", return_dict=True{arguments}',
        ")",
        "answer = model.generate(**prompt, max_new_tokens=200, do_sample=False)[0, prompt.input_ids.shape[1] :]",
        "print(tokenizer.decode(answer, skip_special_tokens=True))",
    ]


def vllm(provenance: Provenance, folder: str) -> Snippet:
    """A server that speaks OpenAI's protocol, and a question to it."""
    name = served_name(provenance)
    return Snippet(
        "vLLM",
        "bash",
        f"vllm serve {shlex.quote(folder)} --served-model-name {name} &\n{_curl(provenance, name, 8000)}",
    )


def llama_cpp(provenance: Provenance, path: str) -> Snippet:
    """A server that reads the chat template from the file, and a question to it."""
    name, arguments = served_name(provenance), ""
    if provenance.template_arguments:
        told = json.dumps(dict(provenance.template_arguments), ensure_ascii=False)
        arguments = f" --chat-template-kwargs {shlex.quote(told)}"
    return Snippet(
        "llama.cpp",
        "bash",
        f"llama-server -m {shlex.quote(path)} --jinja{arguments} --alias {name} --port 8080 &\n{_curl(provenance, name, 8080)}",
    )


def ollama(provenance: Provenance, folder: str) -> Snippet:
    """Made known to Ollama, then asked."""
    name = served_name(provenance)
    return Snippet(
        "Ollama",
        "bash",
        f"cd {shlex.quote(folder)}\nollama create {name} -f Modelfile\nollama run {name} {shlex.quote(_QUESTION)}\n",
    )


def vllm_adapter(provenance: Provenance, config: TrainingConfig, folder: str) -> Snippet:
    """The base model with the adapter on it; the template is the adapter's own file."""
    name = served_name(provenance)
    revision = f" --revision {shlex.quote(provenance.base_revision)}" if provenance.base_revision else ""
    return Snippet(
        "vLLM",
        "bash",
        f"vllm serve {shlex.quote(provenance.base_model)}{revision} --enable-lora --max-lora-rank {_rank(config.lora_r)} \\\n"
        f"  --lora-modules {name}={shlex.quote(folder)} --chat-template {shlex.quote(folder + '/chat_template.jinja')} &\n"
        f"{_curl(provenance, name, 8000)}",
    )


def hub(provenance: Provenance, folder: str) -> Snippet:
    """The files onto a model hub, with one's own token."""
    return Snippet(
        "Hugging Face Hub",
        "bash",
        f"export HF_TOKEN=…\nhf upload your-name/{served_name(provenance)} {shlex.quote(folder)} .\n",
    )


def _rank(rank: int) -> int:
    """The smallest that vLLM allows and the adapter fits in."""
    return next((allowed for allowed in (8, 16, 32, 64, 128, 256, 320, 512) if rank <= allowed), rank)


def _curl(provenance: Provenance, name: str, port: int) -> str:
    """A question to a server that was just begun, asked again until it has loaded the model."""
    body: dict[str, object] = {
        "model": name,
        "messages": [{"role": "user", "content": _QUESTION}],
        "temperature": 0,
    }
    if provenance.template_arguments:
        body["chat_template_kwargs"] = dict(provenance.template_arguments)
    text = json.dumps(body, ensure_ascii=False)
    return (
        f"curl -sS --retry 300 --retry-delay 2 --retry-connrefused http://127.0.0.1:{port}/v1/chat/completions \\\n"
        f"  -H 'Content-Type: application/json' -d {shlex.quote(text)}\n"
    )
