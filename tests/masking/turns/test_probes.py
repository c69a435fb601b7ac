"""What a template writes around short stand-in messages."""

from app.masking import ChatTokenizer
from app.masking.turns.probes import Probes
from tests.masking.turns.looking import parts_of
from tests.masking.turns.pieces import END, LOOP, PROMPT, TURN
from tests.support.masks import chat


def probes(tokenizer: ChatTokenizer, source: str) -> Probes:
    ours = tokenizer.with_chat_template(source, trusted=True)
    return parts_of(ours, chat("q", "Ten.", "r", "Six.")["messages"]).probes


def test_of_chatml(smollm2: ChatTokenizer) -> None:
    found = probes(smollm2, LOOP + TURN + END + PROMPT)
    assert found.lone_prompt == "<|im_start|>assistant\n"
    assert found.standing_prompt == ""
    assert found.preamble == "<|im_start|>user\n"
    assert found.answer_tail == "<|im_end|>\n"
    assert found.answer_ends == ("<|im_end|>\n", "<|im_end|>\n")


def test_a_prompt_that_is_written_unasked_stands_behind_a_last_question(smollm2: ChatTokenizer) -> None:
    always = "{% if messages[-1].role != 'assistant' %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    found = probes(smollm2, LOOP + TURN + END + always)
    assert found.lone_prompt == ""
    assert (
        found.standing_prompt == "assistant\n"
    )  # <|im_start|> stands behind a question that is not the last one too


def test_an_end_that_only_the_last_answer_has_is_no_tail_of_every_answer(smollm2: ChatTokenizer) -> None:
    last = LOOP + "{{ '<file_sep>' + m.content }}{{ '<gh_stars>' if loop.last else '<filename>' }}" + END
    found = probes(smollm2, last)
    assert found.answer_tail == ""
    assert found.answer_ends == ("<gh_stars>", "<filename>")


def test_a_template_that_refuses_the_stand_ins_tells_nothing(smollm2: ChatTokenizer) -> None:
    strict = "{% if messages | length != 4 %}{{ raise_exception('four') }}{% endif %}" + LOOP + TURN + END
    found = probes(smollm2, strict)
    assert (found.lone_prompt, found.standing_prompt, found.answer_tail) == (None, "", "")
    assert found.answer_ends == ("", "")
