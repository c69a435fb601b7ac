"""What masking raises says in a sentence what to do, and of which kind it is."""

import pytest

from app.masking import (
    ArraysDiffer,
    MaskingError,
    MaskRefused,
    TemplateFailed,
    TemplateUnsafe,
    TokenizerUnusable,
)

KINDS = (MaskingError, MaskRefused, TemplateFailed, TemplateUnsafe, TokenizerUnusable, ArraysDiffer)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_is_its_sentence_with_the_values_in_it(kind: type[MaskingError]) -> None:
    error = kind("Turn %(turn)d of %(template)s.", turn=2, template="chatml")
    assert str(error) == "Turn 2 of chatml."
    assert error.sentence.values == {"turn": 2, "template": "chatml"}
    assert isinstance(error, MaskingError)


def test_each_kind_has_a_code_of_its_own() -> None:
    assert len({kind.default_code for kind in KINDS}) == len(KINDS)
