"""Hand-written chat templates, each beside plain Python that says what it writes and which part the model
writes.

The Python side is the oracle of the span tests: it never looks at the template, and knows the borders
because it writes
the pieces one after the other.
"""

from collections.abc import Callable
from dataclasses import dataclass

Message = dict[str, str]
Piece = tuple[str, bool]
Oracle = Callable[[list[Message]], list[Piece]]


@dataclass(frozen=True)
class House:
    """`oracle` gives (text, written by the model) pieces; `alternates` and `system` say what the template
    accepts.
    """

    name: str
    source: str
    oracle: Oracle
    alternates: bool = False
    system: bool = True
    ends_every_turn: bool = True


def _chatml(trim: bool = False, default: str | None = None, separator: str = "\n") -> Oracle:
    def pieces(messages: list[Message]) -> list[Piece]:
        found: list[Piece] = []
        if default is not None and messages[0]["role"] != "system":
            found.append((f"<|im_start|>system\n{default}<|im_end|>\n", False))
        for message in messages:
            content = message["content"].strip() if trim else message["content"]
            found.append((f"<|im_start|>{message['role']}\n", False))
            found.append((content, message["role"] == "assistant"))
            found.append(("<|im_end|>", message["role"] == "assistant"))
            found.append((separator, False))
        return found

    return pieces


def _bos_in_text(messages: list[Message]) -> list[Piece]:
    return [("<|endoftext|>", False), *_chatml()(messages)]


def _eos_at_the_very_end(messages: list[Message]) -> list[Piece]:
    found: list[Piece] = []
    for message in messages:
        found.append((f"<|im_start|>{message['role']}\n", False))
        found.append((message["content"], message["role"] == "assistant"))
        found.append(("<|im_end|>", message["role"] == "assistant"))
        found.append(("\n", False))
    return [*found, ("<|endoftext|>", False)]


def _instruct(messages: list[Message]) -> list[Piece]:
    found: list[Piece] = [("<|endoftext|>", False)]
    for message in messages:
        if message["role"] == "user":
            found.append((f"[INST] {message['content']} [/INST]", False))
        else:
            found.append((f" {message['content']}<|im_end|>", True))
    return found


def _empty_thinking(messages: list[Message]) -> list[Piece]:
    found: list[Piece] = []
    for message in messages:
        found.append((f"<|im_start|>{message['role']}\n", False))
        if message["role"] == "assistant":
            found.append(("<think>\n\n</think>\n\n", True))
        found.append((message["content"], message["role"] == "assistant"))
        found.append(("<|im_end|>", message["role"] == "assistant"))
        found.append(("\n", False))
    return found


def _prompted_thinking(messages: list[Message]) -> list[Piece]:
    """The generation prompt opens a thinking block; an answer that begins with the same words continues
    it.
    """
    found: list[Piece] = []
    for text, own in _chatml()(messages):
        if own and text.startswith("<think>\n"):
            found += [("<think>\n", False), (text.removeprefix("<think>\n"), True)]
        else:
            found.append((text, own))
    return found


def _channel(messages: list[Message]) -> list[Piece]:
    found: list[Piece] = []
    for message in messages:
        if message["role"] == "assistant":
            found += [("<|im_start|>assistant", False), ("<|channel|>final<|message|>", True)]
        else:
            found.append((f"<|im_start|>{message['role']}<|message|>", False))
        found.append((message["content"], message["role"] == "assistant"))
        found.append(("<|im_end|>", message["role"] == "assistant"))
    return found


def _system_in_first_question(messages: list[Message]) -> list[Piece]:
    system = messages[0]["content"] if messages[0]["role"] == "system" else None
    rest = messages[1:] if system is not None else messages
    found: list[Piece] = []
    for place, message in enumerate(rest):
        content = message["content"]
        if place == 0 and system is not None:
            content = f"<<SYS>>\n{system}\n<</SYS>>\n\n{content}"
        if message["role"] == "user":
            found.append((f"<|im_start|>user\n{content}<|im_end|>\n<|im_start|>assistant\n", False))
        else:
            found += [(f"{content}<|im_end|>", True), ("\n", False)]
    return found


def _two_token_end(messages: list[Message]) -> list[Piece]:
    found: list[Piece] = []
    for message in messages:
        own = message["role"] == "assistant"
        found.append((f"<repo_name>{message['role']}<file_sep>", False))
        found.append((f"{message['content']}<filename><gh_stars>", own))
    return found


_LOOP = "{% for message in messages %}"
_PROMPT = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"

HOUSES = (
    House(
        "plain",
        _LOOP
        + "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}"
        + _PROMPT,
        _chatml(),
    ),
    House(
        "trims",
        _LOOP
        + "{{ '<|im_start|>' ~ message.role ~ '\n' ~ message.content | trim ~ '<|im_end|>\n' }}{% endfor %}"
        + _PROMPT,
        _chatml(trim=True),
    ),
    House(
        "default system prompt",
        _LOOP + "{% if loop.first and message.role != 'system' %}<|im_start|>system\nBe "
        "brief.<|im_end|>\n{{ '' }}{% endif %}"
        + "{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}{% endfor %}"
        + _PROMPT,
        _chatml(default="Be brief."),
    ),
    House(
        "strict alternation without system",
        _LOOP + "{% if (message.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('must "
        "alternate') }}{% endif %}"
        + "{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}{% endfor %}"
        + _PROMPT,
        _chatml(),
        alternates=True,
        system=False,
    ),
    House(
        "beginning of sequence in the text",
        "<|endoftext|>"
        + _LOOP
        + "{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}{% endfor %}"
        + _PROMPT,
        _bos_in_text,
    ),
    House(
        "end of sequence only at the very end",
        _LOOP
        + "{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}{% endfor %}"
        + "{% if add_generation_prompt %}<|im_start|>assistant\n{% else %}<|endoftext|>{% endif %}",
        _eos_at_the_very_end,
    ),
    House(
        "no separator",
        _LOOP
        + "{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' }}{% endfor %}"
        + _PROMPT,
        _chatml(separator=""),
    ),
    House(
        "no generation prompt of its own",
        "<|endoftext|>"
        + _LOOP
        + "{% if message.role == 'user' %}{{ '[INST] ' + message.content + ' [/INST]' }}"
        "{% elif message.role == 'assistant' %}{{ ' ' + message.content + '<|im_end|>' }}"
        "{% else %}{{ raise_exception('no system') }}{% endif %}{% endfor %}",
        _instruct,
        alternates=True,
        system=False,
    ),
    House(
        "an empty thinking block before every answer",
        _LOOP + "{{ '<|im_start|>' + message.role + '\n' }}{% if message.role == 'assistant' %}{{ "
        "'<think>\n\n</think>\n\n' }}"
        + "{% endif %}{{ message.content + '<|im_end|>\n' }}{% endfor %}"
        + _PROMPT,
        _empty_thinking,
    ),
    House(
        "a generation prompt that opens thinking",
        _LOOP
        + "{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}{% endfor %}"
        + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}{% endif %}",
        _prompted_thinking,
    ),
    House(
        "a channel header after the generation prompt",
        _LOOP + "{% if message.role == 'assistant' %}{{ '<|im_start|>assistant<|channel|>final<|message|>' "
        "+ message.content }}"
        + "{% else %}{{ '<|im_start|>' + message.role + '<|message|>' + message.content }}{% endif %}"
        + "{{ '<|im_end|>' }}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant{% endif %}",
        _channel,
    ),
    House(
        "the system message inside the first question",
        "{% set ns = namespace(system='') %}{% if messages[0].role == 'system' %}"
        "{% set ns.system = '<<SYS>>\n' + messages[0].content + '\n<</SYS>>\n\n' %}{% set messages = "
        "messages[1:] %}{% endif %}"
        + _LOOP
        + "{% if message.role == 'user' %}{{ '<|im_start|>user\n' + (ns.system if loop.first else '')"
        " + message.content }}"
        "{{ '<|im_end|>\n<|im_start|>assistant\n' }}{% else %}{{ message.content + '<|im_end|>\n' "
        "}}{% endif %}{% endfor %}",
        _system_in_first_question,
        alternates=True,
    ),
    House(
        "two tokens end a turn",
        _LOOP + "{{ '<repo_name>' + message.role + '<file_sep>' + message.content + '<filename><gh_stars>' "
        "}}{% endfor %}" + "{% if add_generation_prompt %}<repo_name>assistant<file_sep>{% endif %}",
        _two_token_end,
    ),
)


def written_by_model(house: House, messages: list[dict[str, str]]) -> tuple[str, set[int]]:
    """The text, and the places of the code points the model must generate."""
    text, own = "", set()
    for piece, generated in house.oracle(messages):
        if generated:
            own |= set(range(len(text), len(text) + len(piece)))
        text += piece
    return text, own
