"""A check's verdict, with its sentence."""

from app.masking.checking.check import CARRIED, CHECK_NAMES, failed, passed


def test_a_verdict_says_what_was_found_and_where() -> None:
    red = failed(CARRIED, "Token %(token)d.", 3, token=3)
    assert (red.passed, red.token, red.detail) == (False, 3, "Token 3.")
    assert passed(CARRIED, "Fine.").token is None
    assert len(set(CHECK_NAMES)) == 9
