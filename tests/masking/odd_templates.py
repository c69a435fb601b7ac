"""Templates that break simple ways of masking, with what the model must generate, and some that have no
exact mask.
"""

QUESTION_AND_ANSWERS = [
    {"role": "user", "content": "hi there"},
    {"role": "assistant", "content": "hello! how can I help?"},
    {"role": "user", "content": "price?"},
    {"role": "assistant", "content": "ten a month."},
]

_BODY = "{{ '<|im_start|>' + m.role + '\n' + %s + '<|im_end|>\n' }}"
_END = "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"


def _chatml(content: str) -> str:
    return "{% for m in messages %}" + _BODY % content + _END


_EOS = "<|im_end|>"

ODD: dict[str, tuple[str, list[str]]] = {
    "other spaces around the header than in the prompt": (
        "{% for m in messages %}{{ ('    <file_sep>   ' if m.role == 'assistant' else 'U: ') + m.content }}"
        "{{ '<|im_end|>' if m.role == 'assistant' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '  <file_sep>  ' }}{% endif %}",
        [" hello! how can I help?" + _EOS, " ten a month." + _EOS],
    ),
    "a prompt that closes its thinking at once": (
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.role == 'assistant' %}"
        "{{ '<think>\nhm\n</think>\n\n' }}{% endif %}{{ m.content + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n\n</think>\n\n' }}{% endif %}",
        [
            "hm\n</think>\n\nhello! how can I help?" + _EOS,
            "hm\n</think>\n\nten a month." + _EOS,
        ],
    ),
    "words as headers": (
        "{% for m in messages %}{% if m.role == 'user' %}{{ 'USER: ' + m.content + ' ' }}"
        "{% else %}{{ 'ASSISTANT: ' + m.content + eos_token }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}",
        [" hello! how can I help?" + _EOS, " ten a month." + _EOS],
    ),
    "no end of turn at all": (
        "{% for m in messages %}{{ '### ' + m.role + ':\n' + m.content + '\n\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '### assistant:\n' }}{% endif %}",
        ["hello! how can I help?", "ten a month."],
    ),
    "nothing but an end of sequence at the end": (
        "{% for m in messages %}{{ '### ' + m.role + ':\n' + m.content + '\n\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '### assistant:\n' }}{% else %}{{ eos_token }}{% endif %}",
        ["hello! how can I help?", "ten a month.\n\n" + _EOS],
    ),
    "end of turn, and another end at the very end": (
        "{% for m in messages %}{{ '<file_sep>' + m.role + '\n' + m.content + '<filename>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<file_sep>assistant\n' }}{% else %}{{ eos_token }}{% endif %}",
        ["hello! how can I help?<filename>", "ten a month.<filename>"],
    ),
    "markers that are text for this vocabulary": (
        "{% for m in messages %}{{ '<|start|>' + m.role + '<|message|>' + m.content }}"
        "{{ '<|return|>' if loop.last and not add_generation_prompt else '<|end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}<|start|>assistant<|message|>{% endif %}",
        ["hello! how can I help?<|end|>", "ten a month.<|return|>"],
    ),
    "the system message in the last question": (
        "<repo_name>{% for m in messages %}{% if m.role == 'user' %}"
        "{{ '[INST] ' + ('Be nice.\n\n' if loop.index0 >= messages | length - 2 else '') + m.content "
        "+ '[/INST]' }}"
        "{% else %}{{ ' ' + m.content + eos_token }}{% endif %}{% endfor %}",
        [" hello! how can I help?" + _EOS, " ten a month." + _EOS],
    ),
    "ignores add_generation_prompt": (
        "{% for m in messages %}" + _BODY % "m.content" + "{% endfor %}",
        [
            "<|im_start|>assistant\nhello! how can I help?" + _EOS,
            "<|im_start|>assistant\nten a month." + _EOS,
        ],
    ),
    "trims the right side only": (
        _chatml("m.content.rstrip()"),
        ["hello! how can I help?" + _EOS, "ten a month." + _EOS],
    ),
    "looks at the first character": (
        _chatml("m.content[0] | upper + m.content[1:]"),
        ["Hello! how can I help?" + _EOS, "Ten a month." + _EOS],
    ),
    "shouts": (_chatml("m.content | upper"), ["HELLO! HOW CAN I HELP?" + _EOS, "TEN A MONTH." + _EOS]),
    "writes JSON": (
        _chatml("m.content | tojson"),
        ['"hello! how can I help?"' + _EOS, '"ten a month."' + _EOS],
    ),
    "leaves the last turn open": (
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content }}"
        "{% if not loop.last %}{{ '<|im_end|>\n' }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_end|>\n<|im_start|>assistant\n' }}{% endif %}",
        ["hello! how can I help?" + _EOS, "ten a month."],
    ),
    "closes a turn when the next begins": (
        "{% for m in messages %}{% if not loop.first %}{{ '<|im_end|>\n' }}{% endif %}"
        "{{ '<|im_start|>' + m.role + '\n' + m.content }}{% endfor %}<|im_end|>"
        "{% if add_generation_prompt %}{{ '\n<|im_start|>assistant\n' }}{% endif %}",
        ["hello! how can I help?" + _EOS, "ten a month." + _EOS],
    ),
    "adds to the last question": (
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content }}"
        "{{ ' /think' if loop.last and m.role == 'user' else '' }}{{ '<|im_end|>\n' }}" + _END,
        ["hello! how can I help?" + _EOS, "ten a month." + _EOS],
    ),
    "renders a list of content parts": (
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
        "{% for part in m.content %}{% if part.type == 'text' %}{{ part.text }}{% endif %}{% endfor "
        "%}{{ '<|im_end|>\n' }}" + _END,
        ["hello! how can I help?" + _EOS, "ten a month." + _EOS],
    ),
    "drops earlier thinking": (
        "{% set ns = namespace(last=-1) %}{% for m in messages %}{% if m.role == 'user' %}{% set "
        "ns.last = loop.index0 %}"
        "{% endif %}{% endfor %}{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
        "{% if m.role == 'assistant' and loop.index0 > ns.last %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
        "{{ m.content + '<|im_end|>\n' }}" + _END,
        ["hello! how can I help?" + _EOS, "<think>\n\n</think>\n\nten a month." + _EOS],
    ),
    "writes the date": (
        "{{ strftime_now('%d %b %Y') }}" + _chatml("m.content"),
        ["hello! how can I help?" + _EOS, "ten a month." + _EOS],
    ),
}

# name -> source and the turn that is refused (None: no single turn)
REFUSED: dict[str, tuple[str, int | None]] = {
    "renders a turn twice": (_chatml("m.content + m.content"), 2),
    "throws dice": (_chatml("m.content + [' ', 'x', 'y', 'z', 'w', 'v', 'u'] | random"), 1),
    "another role in the prompt": (
        "{% for m in messages %}{{ '<|im_start|>' + ('model' if m.role == 'assistant' else m.role) + '\n' }}"
        "{{ m.content + '<|im_end|>\n' }}" + _END,
        2,
    ),
    "turns the conversation round": (_chatml("m.content").replace("in messages", "in messages[::-1]"), 2),
    "shows only the last exchange": (
        "{% set last = messages[-1] %}{{ '<|im_start|>user\n' + (messages[-2] if messages | length > "
        "1 else last).content }}"
        "{{ '<|im_end|>\n' }}{% if last.role == 'assistant' %}{{ '<|im_start|>assistant\n' + "
        "last.content + '<|im_end|>' }}"
        "{% endif %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
        2,
    ),
}
