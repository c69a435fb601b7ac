"""A Modelfile read by Ollama's rules and run by those of Go's templates says what the model's own chat template says."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import trl

from app.exports.ollama import Modelfile, Turn, modelfile
from app.masking.templates.chat_template import ChatTemplate
from tests.masking.house_templates import HOUSES

TRL = Path(trl.__file__).parent / "chat_templates"
# Templates as they are met whose dialogues a Modelfile can say; of all others none may be written.
SAID = {
    *(
        "gemma",
        "llama3",
        "qwen2_5",
        "qwen3",
        "qwen3_instruct_2507",
        "qwen3_5_think",
        "qwen3_5_nothink",
        "lfm2",
        "phi3",
    ),
    *("plain", "default system prompt", "trims", "a generation prompt that opens thinking"),
}
NOT_SAID = {"llama3_1", "cohere", "deepseekv3", "gptoss", "glm4moe", "gemma3", "no separator"}
TRIM = {"gemma", "llama3", "qwen3_5_think", "qwen3_5_nothink", "trims"}
TEMPLATES = {name: (TRL / f"{name}.jinja") for name in SAID | NOT_SAID if (TRL / f"{name}.jinja").is_file()}
SOURCES = {
    **{name: path.read_text("utf-8") for name, path in TEMPLATES.items()},
    **{house.name: house.source for house in HOUSES if house.name in SAID | NOT_SAID},
}
DIALOGUES: list[list[tuple[str, str]]] = [
    [("user", "What does it cost?")],
    [("user", "Hi"), ("assistant", "Hello."), ("user", "Price?")],
    [("system", "You sell."), ("user", "Hi")],
    [
        ("system", "Plans: {{ .Role }} {% x %}"),
        ("user", 'It\'s "quoted" & <b> 你好 🙂'),
        ("assistant", '{"a": [1]}'),
        ("user", "ok\nsecond line"),
    ],
]
ACTION = re.compile(r"\{\{(-?)\s*(.*?)\s*(-?)\}\}", re.DOTALL)


def turns_of(dialogue: Sequence[tuple[str, str]]) -> list[Turn]:
    return [{"role": role, "content": content} for role, content in dialogue]


def commands(text: str) -> dict[str, str]:
    """What a Modelfile says, by command: a value ends at the end of a line once its quotes are closed, and what is not printable
    is dropped."""
    found: dict[str, str] = {}
    lines = iter(text.splitlines(keepends=True))
    for line in lines:
        name, _space, value = line.partition(" ")
        if name == "PARAMETER":
            name, _space, value = value.partition(" ")
        while value.startswith('"""') and not (len(value.strip()) >= 6 and value.rstrip().endswith('"""')):
            value += next(lines)
        kept = "".join(sign for sign in value.strip() if sign.isprintable() or sign in "\t\r\n")
        quotes = '"""' if kept.startswith('"""') else '"' if kept.startswith('"') else ""
        found[name] = kept[len(quotes) : len(kept) - len(quotes)]
    return found


Node = str | tuple[str, list["Node"], list["Node"]]


def parsed(template: str) -> list[Node]:
    """Text, actions, and what ranges and conditions hold, by Go's rules."""
    pieces: list[tuple[bool, str]] = []
    place = 0
    for found in ACTION.finditer(template):
        text = template[place : found.start()]
        pieces += [(False, text.rstrip() if found[1] else text), (True, found[2])]
        assert not found[3], "nothing here trims what follows"
        place = found.end()
    pieces.append((False, template[place:]))
    rest = iter(pieces)

    def block() -> tuple[list[Node], str]:
        nodes: list[Node] = []
        for is_action, text in rest:
            if not is_action:
                nodes.append(("text", [text], []))
            elif text in ("end", "else"):
                return nodes, text
            elif text.startswith(("range ", "if ")):
                inside, last = block()
                otherwise = block()[0] if last == "else" else []
                nodes.append((text, inside, otherwise))
            else:
                nodes.append(text)
        return nodes, ""

    return block()[0]


def run(nodes: list[Node], dot: dict[str, Any]) -> str:
    """The text that Go makes of it."""
    said = ""
    for node in nodes:
        if isinstance(node, str):
            said += str(dot[node.removeprefix(".")])
        elif node[0] == "text":
            said += str(node[1][0])
        elif node[0] == "range .Messages":
            said += "".join(run(node[1], one) for one in dot["Messages"])
        else:
            asked = re.fullmatch(r'if eq \.Role "(\w+)"', node[0])
            assert asked, node[0]
            said += run(node[1] if dot["Role"] == asked[1] else node[2], dot)
    return said


def ollama_says(made: Modelfile, dialogue: list[Turn]) -> str:
    """With the system prompt of the Modelfile where nobody gives one, as Ollama does."""
    told = commands(made.text)
    if dialogue[0]["role"] != "system" and told.get("SYSTEM"):
        dialogue = [{"role": "system", "content": told["SYSTEM"]}, *dialogue]
    messages = [{"Role": one["role"], "Content": one["content"]} for one in dialogue]
    return run(parsed(told["TEMPLATE"]), {"Messages": messages})


def renderer(source: str) -> Callable[[Sequence[Turn], bool], str]:
    template = ChatTemplate(source)

    def render(turns: Sequence[Turn], generation: bool) -> str:
        variables = {"bos_token": "<BOS>", "eos_token": "</s>"}
        try:
            return template.render(list(turns), variables, add_generation_prompt=generation)
        except Exception as error:
            raise ValueError(str(error)) from error

    return render


def made_of(source: str) -> Modelfile | None:
    return modelfile("m.gguf", renderer(source), bos="<BOS>", end_of_turn="<|im_end|>", context=100_000)


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_ollama_says_what_the_template_says_or_there_is_no_modelfile(name: str) -> None:
    made, render = made_of(SOURCES[name]), renderer(SOURCES[name])
    assert (made is not None) == (name in SAID)
    if made is None:
        return
    assert made.trims == (name in TRIM)
    compared = 0
    for dialogue in map(turns_of, DIALOGUES):
        try:
            expected = render(dialogue, True).removeprefix("<BOS>")
        except ValueError:
            continue  # gemma has no system turns
        assert ollama_says(made, dialogue) == expected
        compared += 1
    assert compared >= 2
    told = commands(made.text)
    assert {name: told[name] for name in ("FROM", "stop", "num_ctx")} == {
        "FROM": "./m.gguf",
        "stop": "<|im_end|>",
        "num_ctx": "8192",
    }


def test_every_template_was_looked_at() -> None:
    assert set(SOURCES) == SAID | NOT_SAID


@pytest.mark.parametrize("sign", ["\u00a0", "\u3000", "\u200d", '"""', "{{ x }}"])
def test_a_system_prompt_that_ollama_would_read_otherwise_is_not_written(sign: str) -> None:
    default = "{%% if messages[0].role != 'system' %%}{{ '<|im_start|>system\\nYou are here%s.<|im_end|>\\n' }}{%% endif %%}"
    body = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
    asks = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
    assert made_of(default % "" + body + asks) is not None
    assert made_of(default % sign + body + asks) is None
