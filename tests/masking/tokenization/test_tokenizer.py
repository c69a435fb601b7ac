"""A chat tokenizer: what its template reads, where generation stops, and copies of it that share what is dear."""

import pytest

from app.masking import ChatTokenizer, MaskingError

PARTS = "{% for m in messages %}{% for part in m.content %}{{ part.text }}{% endfor %}{% endfor %}"


def test_another_template_shares_the_vocabulary_and_has_a_fingerprint_of_its_own(
    smollm2: ChatTokenizer,
) -> None:
    other = smollm2.with_chat_template("{{ messages[0].content }}", trusted=True)
    assert (other.encoder, other.twins) == (smollm2.encoder, smollm2.twins)
    assert other.fingerprint != smollm2.fingerprint
    assert other.render([{"role": "user", "content": "hi"}]) == "hi"


def test_arguments_reach_the_template_that_reads_them_and_no_other(smollm2: ChatTokenizer) -> None:
    tokenizer = smollm2.with_chat_template("{{ tone }}", "toned", trusted=True)
    assert tokenizer.readable_arguments == {"tone"}
    assert tokenizer.rendering_with({"tone": "warm"}).render([]) == "warm"
    assert tokenizer.render([]) == ""
    with pytest.raises(MaskingError, match="does not read the argument “mood”; it reads: tone"):
        tokenizer.rendering_with({"mood": "x"})


def test_a_template_that_wants_content_parts_gets_them(smollm2: ChatTokenizer) -> None:
    tokenizer = smollm2.with_chat_template(PARTS, trusted=True)
    assert tokenizer.wants_content_parts
    assert tokenizer.render([{"role": "user", "content": "hi"}]) == "hi"
    assert not smollm2.wants_content_parts


def test_generation_stops_at_the_end_of_sequence_and_where_the_model_says(smollm2: ChatTokenizer) -> None:
    tokenizer = smollm2.with_chat_template("{{ 1 }}", trusted=True)
    tokenizer.stop_ids = frozenset({tokenizer.added_tokens["<file_sep>"]})
    assert tokenizer.stop_tokens == {"<|im_end|>", "<file_sep>"}


def test_control_tokens_are_the_special_ones_and_those_that_the_template_writes(
    smollm2: ChatTokenizer,
) -> None:
    assert "<|im_end|>" in smollm2.control_tokens
    ids = smollm2.encoder.encode_many(["<|im_start|>x<|im_end|>"])[0].ids
    assert smollm2.count_controls(ids) == 2
