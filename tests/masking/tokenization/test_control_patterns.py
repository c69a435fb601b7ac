"""Where text spells control tokens, and which of them who may write."""

from app.masking.tokenization.control_patterns import ControlPatterns, control_pattern


def test_the_longest_token_is_found_as_the_tokenizer_finds_it() -> None:
    pattern = control_pattern(["<|end|>", "<|end|>of", "<"])
    assert [match.group() for match in pattern.finditer("<|end|>of <|end|> <")] == [
        "<|end|>of",
        "<|end|>",
        "<",
    ]


def test_without_control_tokens_nothing_is_found() -> None:
    assert control_pattern([]).search("anything") is None


def test_the_model_may_write_what_is_not_special_and_nobody_else() -> None:
    patterns = ControlPatterns(frozenset({"<think>", "<|im_end|>"}), frozenset({"<|im_end|>"}))
    text = "<think>a<|im_end|>"
    assert patterns.forbidden_in(text, "assistant") == [(8, 18)]
    for role in ("system", "user", "tool"):
        assert patterns.forbidden_in(text, role) == [(0, 7), (8, 18)]
    assert patterns.forbidden_in("nothing here", "user") == []
