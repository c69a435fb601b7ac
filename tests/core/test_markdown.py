"""What people wrote stays text, whatever Markdown would make of it."""

from app.core.markdown import on_one_line


def test_words_stay_on_one_line_and_mark_nothing() -> None:
    assert on_one_line("a | b\n# <b>*c*</b> `d` [e](f)") == r"a \| b \# \<b\>\*c\*\</b\> \`d\` \[e\](f)"
