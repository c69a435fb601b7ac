"""Where tokens lie in a text, worked out from their own bytes."""

from app.masking.tokenization.token_bytes import TokenBytes


def test_only_the_texts_whose_bytes_the_tokens_do_not_spell_are_left_to_the_library() -> None:
    table = TokenBytes([b"He", b"llo", "价".encode()[:1], "价".encode()[1:], b"", b"hello"])
    same, lower, split, nothing = table.encoded([[0, 1], [5], [2, 3, 0], []], ["Hello", "Hello", "价He", ""])
    assert same is not None
    assert (same.starts.tolist(), same.ends.tolist()) == ([0, 2], [2, 5])
    assert lower is None
    assert split is not None
    assert (split.starts.tolist(), split.ends.tolist()) == ([0, 0, 1], [1, 1, 3])
    assert nothing is not None
    assert nothing.ids.tolist() == []
