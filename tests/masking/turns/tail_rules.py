"""How much behind a turn's text is the turn's: a template for each rule that needs it."""

from typing import Any

from tests.masking.turns.pieces import CALLING, CALLS, END, EOS, LOOP, PLAIN, SHORT
from tests.support.masks import chat

# A call whose arguments spell what generation stops at.
SPELLS: dict[str, Any] = {
    **CALLING[1],
    "tool_calls": [{"type": "function", "function": {"name": "price", "arguments": {"of": EOS}}}],
}
ASKED_AGAIN = "{% if add_generation_prompt and messages[-1].role != 'assistant' %}"

# rule -> template, conversation, what the model must write in each answer
RULES: dict[str, tuple[str, list[dict[str, Any]], list[str]]] = {
    "what the conversation that stops here says too is the turn's, though it be words": (
        LOOP + "{{ ' <file_sep>' + m.role + ':\n' + m.content + 'END' }}" + END,
        SHORT,
        [" <file_sep>assistant:\nTen.END"],
    ),
    "what the conversation that goes on says too is the turn's, where the other cannot be rendered": (
        "{% if not add_generation_prompt and messages | length in (2, 3) %}{{ raise_exception('ask') }}{% endif %}"
        + LOOP
        + "{{ '<repo_name>' + m.role + '\n' + m.content + '<gh_stars>\n' }}"
        + END
        + "{% if add_generation_prompt %}{{ '<repo_name>assistant\n' }}{% endif %}",
        PLAIN,
        ["Ten.<gh_stars>", "Six.<gh_stars>"],
    ),
    "where both go on with a marker each ends in its own way": (
        LOOP
        + "{{ '<|im_start|>' + m.role + '<file_sep>' + m.content + '<filename>\n' }}"
        + "{{ '<gh_stars>' if loop.last else '<|im_end|>' }}"
        + END
        + "{% if add_generation_prompt %}<|im_start|>assistant<file_sep>{% endif %}",
        SHORT,
        ["Ten.<filename>\n<|im_end|>"],
    ),
    "where they part in the middle of a turn that is over at its text the text is all": (
        LOOP
        + "{{ '# ' + m.role + ':\n' + m.content + ('<gh_stars>' if loop.last else 'END ') + '\n' }}"
        + END
        + "{% if add_generation_prompt %}{{ '\n# assistant:\n\n' }}{% endif %}",
        PLAIN,
        ["Ten.", "Six.<gh_stars>"],
    ),
    "of several the shortest with a marker counts": (
        LOOP
        + "{{ '<role>' + m.role + ':\n' + m.content + ('<end>' if loop.last else '<|im_end|>') }}"
        + END
        + "{% if add_generation_prompt %}{{ '<role>assistant:\n<think>\n' }}{% endif %}{{ eos_token }}",
        PLAIN,
        ["Ten.<|im_end|>", "Six.<end>"],
    ),
    "the last turn ends as plain answers do, though it be with words": (
        LOOP + "{{ ' <file_sep>' + m.role + ':\n' + m.content + 'END' }}" + END,
        PLAIN[:2],
        [" <file_sep>assistant:\nTen.END"],
    ),
    "a header that is always written is not the last turn's": (
        LOOP
        + "{{ '<file_sep>' + m.role + '<file_sep>' + m.content + '[|end|]\n' }}"
        + END
        + "{{ '\n<file_sep>assistant<file_sep>\n' }}",
        PLAIN[:2],
        ["Ten.[|end|]"],
    ),
    "an end that is written when the next turn begins stands before a header that opens the rendering": (
        "<|endoftext|>"
        + LOOP
        + "{% if not loop.first %}{{ '<gh_stars>\n' }}{% endif %}{{ '<role>' + m.role + ': ' + m.content + ' ' }}"
        + END
        + ASKED_AGAIN
        + "{{ '<role>assistant: <think>\n' }}{% endif %}{{ eos_token }}",
        chat("q", "Ten.")["messages"][1:] + PLAIN,
        ["Ten. <gh_stars>", "Ten. <gh_stars>", "Six. " + EOS],
    ),
    "an end that is written when the next turn begins stands before the header of the first role": (
        "<repo_name>"
        + LOOP
        + "{% if not loop.first %}{{ '<filename> ' }}{% endif %}{{ '# ' + m.role + '</role>' + m.content + '\n' }}"
        + END
        + "{% if add_generation_prompt %}{{ '# assistant</role>\n' }}{% endif %}",
        PLAIN,
        ["Ten.\n<filename>", "Six."],
    ),
    "words before the next header end nothing": (
        "<repo_name>"
        + LOOP
        + "{% if not loop.first %}{{ '[|end|]\n' }}{% endif %}{{ '<|endoftext|>' + m.role + ': ' + m.content + '\n\n' }}"
        + END
        + "{% if add_generation_prompt %}{{ '\n<|endoftext|>assistant: ' }}{% endif %}",
        SHORT,
        ["Ten."],
    ),
    "what ends a plain answer ends this one, where other renderings go on otherwise": (
        LOOP
        + "{{ ' # ' + m.role + '<file_sep>' + m.content + '<filename>[|end|] ' }}"
        + END
        + "{% if add_generation_prompt %}{{ '<|im_end|> # assistant<file_sep>\n' }}{% endif %}{{ eos_token }}",
        [*SHORT[:2], {"role": "assistant", "content": "Six."}],
        ["Ten.<filename>", "Six.<filename>"],
    ),
    "where nothing else tells generation stops at the only token it can": (
        LOOP
        + "{{ '# ' + m.role + ':\n' + m.content }}"
        + CALLS
        + "{{ '<|im_end|>' if loop.nextitem and loop.nextitem.role == 'tool' else '[|end|]' }}{{ '\n' }}"
        + END
        + "{% if add_generation_prompt and messages[-1].role == 'user' %}{{ '\n# assistant:\n' }}{% endif %}{{ eos_token }}",
        CALLING,
        ['<call>price{"of": "a"}</call>' + EOS, "Ten.[|end|]\n" + EOS],
    ),
    "white space behind a call that nothing ends is not the turn's": (
        LOOP
        + "{{ '<role>' + m.role + '\n' + m.content }}"
        + CALLS
        + "{{ '\n' }}"
        + END
        + "{% if add_generation_prompt %}{{ '<role>assistant\n' }}{% endif %}",
        CALLING[:2],
        ['<call>price{"of": "a"}</call>'],
    ),
    "a last blank line is no prompt": (
        "Be nice.\n"
        + LOOP
        + "{{ '<role>' + m.role + '</role>' + m.content }}"
        + "{{ '\n' if loop.last and not add_generation_prompt else 'END ' }}"
        + END
        + "{% if add_generation_prompt and messages[-1].role == 'user' %}{{ '<role>assistant</role>I think: ' }}{% endif %}",
        SHORT,
        ["Ten.END"],
    ),
    "a marker that both renderings write next is the same one, whatever white space stands before it": (
        "<repo_name><reponame>Be nice.<gh_stars>"
        + LOOP
        + "{% if not loop.first %}{{ ' ' }}{% endif %}{{ '<repo_name>' + m.role + '\n' + m.content + '\n\n\n ' }}"
        + END
        + "{{ '<repo_name>assistant\n<think>\n' }}",
        [CALLING[0], SHORT[1], {"role": "assistant", "content": "Six."}, SHORT[2]],
        ["Ten.", "Six.\n\n\n  <repo_name>"],
    ),
    "white space is no end that a header of the first role could follow": (
        "Be nice.\n" + LOOP + "{{ '<repo_name>' + m.role + '\n' + m.content + ' \n' }}" + END,
        PLAIN,
        ["<repo_name>assistant\nTen.", "<repo_name>assistant\nSix."],
    ),
    "nor one that a header of another role could": (
        LOOP
        + "{{ '# ' + m.role + '\n' + m.content }}{% if not loop.last or add_generation_prompt %}{{ '<gh_stars>\n' }}{% endif %}"
        + END
        + "{% if add_generation_prompt %}{{ '# assistant\n' }}{% endif %}",
        [*chat("Hi", "Hm.", system="s")["messages"], *SHORT[1:]],
        ["Hm.", "Ten."],
    ),
    "a call ends as it does while it is the last message, though an answer that comes last be shown otherwise": (
        LOOP
        + "{{ '# ' + m.role + '\n' + ('<think>' if loop.last and m.role == 'assistant' else '') + m.content }}"
        + CALLS
        + "{{ ('[|call|]' if m.tool_calls else '<end>') + '\n' }}"
        + END
        + "{% if add_generation_prompt %}{{ '# assistant\n' }}{% endif %}",
        CALLING,
        ['<call>price{"of": "a"}</call>[|call|]', "<think>Ten.<end>"],
    ),
    "what ends a plain answer ends none that goes on otherwise": (
        LOOP
        + "{{ '# ' + m.role + '\n' + m.content }}"
        + CALLS
        + "{{ ('[|call|]' if m.tool_calls else '<e>') + '\n' }}"
        + END
        + "{% if add_generation_prompt %}{{ '# assistant\n' }}{% endif %}",
        CALLING[:2],
        ['<call>price{"of": "a"}</call>[|call|]'],
    ),
    "a prompt is told by the one before the turn, where it is no other than a lone question's": (
        "{% if not add_generation_prompt and messages | length == 3 %}{{ raise_exception('ask') }}{% endif %}"
        + LOOP
        + "{{ '# ' + m.role + '\n' + m.content + ('[|END|]' if messages[0].role == 'system' else '[|end|]') + '\n' }}"
        + END
        + "{% if add_generation_prompt %}{{ '# assistant, brief\n' if messages[0].role == 'system' else '# assistant\n' }}{% endif %}",
        chat("Hi", "Ten.", "r", system="s")["messages"],
        ["\nTen.[|END|]"],
    ),
    "a lone question's prompt is told where the template refuses the other": (
        "{% if not add_generation_prompt and messages | length in (2, 3) %}{{ raise_exception('ask') }}{% endif %}"
        + "<repo_name><reponame>Be nice.<gh_stars>"
        + LOOP
        + "{{ '[' + m.role + '\n' + m.content }}"
        + END
        + "{% if add_generation_prompt %}{{ '[assistant\nI think: ' }}{% endif %}",
        chat("q", "Ten.")["messages"][1:] + PLAIN,
        ["Ten.", "Ten.", "Six."],
    ),
    "a last prompt that is always written is not the turn's, line break before it included": (
        "<repo_name><reponame>Be nice.<gh_stars>"
        + LOOP
        + "{{ '<gh_stars>' + m.role + ':\n' + m.content + '\n\n' }}"
        + END
        + "{{ '\n<gh_stars>assistant:\n' }}",
        PLAIN[:2],
        ["Ten."],
    ),
    "a marker in front of words does not say that a turn is over": (
        LOOP
        + "{{ m.role + '<file_sep>' + m.content }}"
        + CALLS
        + "{{ ' [END]\n\n\n<|endoftext|> ' }}"
        + END
        + "{% if add_generation_prompt and messages[-1].role == 'user' %}{{ 'assistant<file_sep>I think: ' }}{% endif %}{{ eos_token }}",
        [*CALLING[:2], *SHORT],
        [
            '<call>price{"of": "a"}</call> [END]\n\n\n<|endoftext|>',
            "Ten. [END]\n\n\n<|endoftext|>",
        ],
    ),
    "words behind a last call that nothing tells are not the turn's": (
        "<|endoftext|>"
        + LOOP
        + "{% if not (loop.last and m.tool_calls and add_generation_prompt) %}{{ 'END' + m.role + '<end>' + m.content }}"
        + CALLS
        + "{{ ' END\n\n' }}{% endif %}"
        + END
        + "{% if add_generation_prompt %}ENDassistant<end>{% endif %}",
        CALLING[:2],
        ['<call>price{"of": "a"}</call> END'],
    ),
    "generation may stop where the next header opens, behind what ends turns": (
        "{% if messages[-1].role == 'assistant' and messages | length < 3 %}{{ raise_exception('x') }}{% endif %}"
        + LOOP
        + "{{ '<|im_end|>' + m.role + ']\n' + m.content + '<repo_name> ' }}"
        + END,
        SHORT,
        ["<|im_end|>assistant]\nTen.<repo_name> <|im_end|>"],
    ),
    "a last call ends with the marker behind it, though it would end with another before a prompt": (
        LOOP
        + "{{ m.content }}"
        + CALLS
        + "{{ '<file_sep>\n' if loop.last and add_generation_prompt else '<e>\n\n' }}"
        + END
        + "{% if add_generation_prompt %}{{ '# assistant|]\n<think>\n' }}{% endif %}",
        [CALLING[1]],
        ['<call>price{"of": "a"}</call><e>'],
    ),
    "what opens the rendering is the next header's, though the first role's header has none": (
        "<reponame>"
        + LOOP
        + "{{ '# ' + m.role + '\n' + m.content + ('</turn>' if loop.last else '') }}"
        + "{{ '<reponame>\n\n' if m.role == 'assistant' else '' }}"
        + END
        + "{% if add_generation_prompt %}{{ '# assistant\n\n' }}{% endif %}",
        SHORT,
        ["Ten."],
    ),
    "the header of another role than the first is not looked for in what opens the rendering": (
        "nice." + LOOP + "{{ '<role>' + m.role + ']\n' + m.content }}" + END,
        [SHORT[1], *PLAIN[2:]],
        ["<role>assistant]\nTen.", "<role>assistant]\nSix."],
    ),
    "a text is found where the last turn begins otherwise": (
        LOOP + "{{ ('' if loop.last else ' ') + '# ' + m.role + '\n' + m.content }}" + END,
        SHORT,
        [" # assistant\nTen."],
    ),
    "a template that writes no question without a prompt tells no prompt": (
        "{% if not add_generation_prompt and messages[-1].role != 'assistant' %}{{ raise_exception('x') }}{% endif %}"
        + LOOP
        + "{{ '# ' + m.role + '\n' + m.content + '<e>\n' }}"
        + END
        + "{% if add_generation_prompt %}{{ '# assistant\n' }}{% endif %}",
        PLAIN[:2],
        ["Ten.<e>"],
    ),
    "of what ends the last turn the part with a marker counts, not the words before it": (
        LOOP + "{{ m.content + 'END\n\n' }}" + END + "{{ eos_token }}",
        [SHORT[1]],
        ["Ten.END\n\n<|im_end|>"],
    ),
    "white space before an end of turn may differ, and the rest behind it is compared from there": (
        LOOP + "{{ m.content + ('\n\n' if loop.last else '') + '<gh_stars> \n' }}" + END,
        SHORT,
        ["Ten.<gh_stars>"],
    ),
    "white space behind words that end a turn may differ": (
        LOOP + "{{ '# ' + m.role + ':\n' + m.content + 'END' + ('\n' if loop.last else ' ') }}" + END,
        SHORT,
        [" # assistant:\nTen.END"],
    ),
    "white space before the markers at which they part is no word": (
        LOOP
        + "{{ m.content }}"
        + CALLS
        + "{{ ' ' if loop.last else '<repo_name> \n' }}"
        + END
        + "{{ eos_token }}",
        [CALLING[1], CALLING[3]],
        ['<call>price{"of": "a"}</call><repo_name>', "Ten. <|im_end|>"],
    ),
    "after another answer the prompt does not hold that answer's end": (
        LOOP
        + "{{ '<end>\n' if loop.previtem and loop.previtem.role == 'assistant' else '' }}{{ '# ' + m.role + '\n' + m.content }}"
        + END
        + "{% if add_generation_prompt %}{{ '<end>\n' if messages[-1].role == 'assistant' else '' }}{{ '# assistant\n' }}{% endif %}",
        [{"role": "system", "content": "s"}, *SHORT[:2], {"role": "assistant", "content": "Six."}, SHORT[2]],
        ["Ten.<end>", "Six.<end>"],
    ),
    "the header of an unknown prompt is not the turn's, though the next header begins so": (
        "{% if not add_generation_prompt and messages | length < 3 %}{{ raise_exception('x') }}{% endif %}Be nice."
        + LOOP
        + "{{ '<role>' + m.role + '\n' + m.content + '<end>' + (' ' if loop.last else '\n') }}"
        + END
        + "{% if add_generation_prompt %}{{ '<role>assistant\n' }}{% endif %}",
        SHORT,
        ["Ten.<end>"],
    ),
}
