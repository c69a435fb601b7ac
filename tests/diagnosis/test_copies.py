"""What counts as copied: runs of tokens that stand in one training answer or two, never across two answers."""

import numpy as np

from app.diagnosis.copies import Copy, TrainingAnswers


def training(*answers: tuple[int, list[int]]) -> TrainingAnswers:
    """Answers as (conversation, tokens)."""
    return TrainingAnswers(
        np.concatenate([np.asarray(tokens, np.int64) for _, tokens in answers]),
        np.repeat(np.arange(len(answers)), [len(tokens) for _, tokens in answers]),
        np.asarray([conversation for conversation, _ in answers], np.int64),
    )


ONE = list(range(100, 130))
TWO = list(range(200, 230))


def test_a_training_answer_word_for_word_is_copied_whole_and_its_conversation_named() -> None:
    assert training((7, ONE), (8, TWO)).copied_in(TWO) == Copy(1.0, 8)


def test_half_of_an_answer_is_half_copied() -> None:
    own = list(range(900, 915))
    assert training((7, ONE), (8, TWO)).copied_in(ONE[:15] + own) == Copy(0.5, 7)


def test_two_answers_that_stand_side_by_side_are_no_run_of_tokens() -> None:
    across = ONE[-7:] + TWO[:7] + list(range(900, 906))
    assert training((7, ONE), (8, TWO)).copied_in(across) == Copy(0.0, None)


def test_what_many_conversations_say_is_nobodys_answer() -> None:
    said = [(conversation, ONE) for conversation in (1, 2, 3)]
    assert training(*said).copied_in(ONE) == Copy(0.0, None)
    # the same conversation in several samples is still one
    again = [(1, ONE) for _ in range(5)]
    assert training(*again).copied_in(ONE) == Copy(1.0, 1)


def test_a_short_answer_is_not_judged() -> None:
    assert training((7, ONE)).copied_in(ONE[:15]) is None


def test_a_large_training_set_is_searched_in_pieces() -> None:
    others = list(np.random.default_rng(0).integers(0, 5000, 2_200_000))
    assert training((1, others), (2, ONE)).copied_in(ONE) == Copy(1.0, 2)
    middle = others[(1 << 20) - 12 : (1 << 20) + 12]
    assert training((1, others), (2, ONE)).copied_in([int(token) for token in middle]) == Copy(1.0, 1)
