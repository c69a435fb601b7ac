"""Languages have one code each, whatever they are called."""

import pytest

from app.dialogue.language import detect_language, language_code


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("English", "en"),
        ("en-GB", "en"),
        (" 中文 ", "zh"),
        ("zh_TW", "zh"),
        ("fr", "fr"),
        ("pt_BR", "pt-br"),
        ("klingon", None),
        ("", None),
        ("e", None),
    ],
)
def test_names_and_regions_become_a_code(name: str, code: str | None) -> None:
    assert language_code(name) == code
    assert code is None or language_code(code) == code


def test_a_language_is_told_by_its_script_or_not_at_all() -> None:
    assert detect_language(["这台 ThinkPad 多少钱？"]) == "zh"
    assert detect_language(["How much?"]) == "en"
    assert detect_language(["Сколько?"]) is None
