"""Labels in canonical form, or a refusal that names the label."""

from typing import Any

import pytest

from app.dialogue.labels import LABELS, read_label, read_labels
from app.dialogue.limits import TAGS
from app.dialogue.refusals import DialogueRefused


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("outcome", "won", "won"),
        ("outcome", "", None),
        ("stage", "  demo ", "demo"),
        ("stage", None, None),
        ("language", "zh-CN", "zh"),
        ("language", "PT_br", "pt-br"),
        ("tags", ["b", " a", "b", " "], ["a", "b"]),
        ("tags", None, []),
    ],
)
def test_a_label_is_brought_into_one_form(name: str, value: Any, found: Any) -> None:
    assert read_label(name, value) == found
    assert read_label(name, read_label(name, value)) == found


@pytest.mark.parametrize("name", [name for name in LABELS if name not in ("outcome", "language", "tags")])
def test_every_label_has_its_length(name: str) -> None:
    assert read_label(name, "x" * LABELS[name]) == "x" * LABELS[name]
    with pytest.raises(DialogueRefused) as refused:
        read_label(name, "x" * (LABELS[name] + 1))
    assert (refused.value.code, refused.value.field) == ("label_too_long", name)
    assert str(refused.value) == f"The label {name} is longer than {LABELS[name]} characters."


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"colour": "red"}, "label_unknown"),
        ({"stage": 3}, "label_not_text"),
        ({"stage": ["demo"]}, "label_not_text"),
        ({"product": "a\x00"}, "text_not_storable"),
        ({"outcome": "maybe"}, "outcome_unknown"),
        ({"language": "klingon"}, "language_unknown"),
        ({"tags": "a, b"}, "tags_not_list"),
        ({"tags": [1]}, "tags_not_list"),
        ({"tags": ["\ud800"]}, "text_not_storable"),
        ({"tags": ["x" * 41]}, "label_too_long"),
        ({"tags": [str(number) for number in range(TAGS + 1)]}, "too_many_tags"),
    ],
)
def test_what_is_no_label_is_refused_by_name(given: dict[str, Any], code: str) -> None:
    with pytest.raises(DialogueRefused) as refused:
        read_labels(given)
    assert (refused.value.code, refused.value.field) == (code, next(iter(given)))
