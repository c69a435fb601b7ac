"""The validator's errors in our words: one sentence a field, with its name in it, in both languages."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from app.core.i18n import say, use_locale
from app.invalid import WrongValue, wrong_fields
from app.sentences import N_


class Order(BaseModel):
    """A bit of everything."""

    model_config = ConfigDict(extra="forbid")

    count: int = Field(1, ge=1, lt=10)
    share: float = Field(0.5, gt=0, le=0.75)
    words: list[str] = Field(default_factory=list, max_length=2)
    kind: Literal["one", "two"] | None = None
    inner: dict[str, int] = Field(default_factory=dict)
    code: str = Field("a", pattern="^[a-z]$")

    @field_validator("words")
    @classmethod
    def _no_blanks(cls, value: list[str]) -> list[str]:
        if "" in value:
            raise ValueError(N_("%(field)s must be a list."))
        return value


def said(values: Any, **options: Any) -> dict[str, str]:
    with pytest.raises(ValidationError) as raised:
        Order.model_validate(values)
    return {wrong.field: say(wrong.sentence) for wrong in wrong_fields(raised.value.errors(), **options)}


@pytest.mark.parametrize(
    ("values", "english", "chinese"),
    [
        ({"count": "x"}, "count must be a whole number.", "count 必须是整数。"),
        ({"count": 10}, "count must be less than 10.", "count 必须小于 10。"),
        ({"share": 0}, "share must be more than 0.", "share 必须大于 0。"),
        ({"share": 1}, "share must be at most 0.75.", "share 不能大于 0.75。"),
        ({"words": ["a"] * 3}, "words must have at most 2 entries.", "words 最多 2 项。"),
        ({"words": [""]}, "words must be a list.", "words 必须是列表。"),
        ({"kind": "three"}, "kind must be one of: one, two.", "kind 只能是以下之一：one, two。"),
        ({"code": "A"}, "code is not written as it should be.", "code 的格式不正确。"),
    ],
)
def test_a_wrong_field_is_one_sentence_in_both_languages(
    values: dict[str, Any], english: str, chinese: str
) -> None:
    (name,) = values
    assert said(values) == {name: english}
    with use_locale("zh-CN"):
        assert said(values) == {name: chinese}


def test_fields_inside_fields_and_the_whole_body_are_named() -> None:
    assert said({"inner": {"a": "x"}}) == {"inner.a": "inner.a must be a whole number."}
    assert said([]) == {"": "The body must be a JSON object."}
    assert list(said({"count": 0, "share": 9, "more": 1})) == ["count", "share", "more"]


def test_a_field_is_called_what_its_reader_calls_it() -> None:
    assert said({"count": 0}, called="The environment variable COUNT") == {
        "count": "The environment variable COUNT must be at least 1."
    }


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]


class Owner(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]


@pytest.mark.parametrize(
    ("pet", "english", "chinese"),
    [
        ({}, "pet.kind is missing.", "缺少 pet.kind。"),
        ({"kind": "cow"}, "pet.kind must be one of: cat, dog.", "pet.kind 只能是以下之一：cat, dog。"),
    ],
)
def test_the_field_that_decides_between_several_shapes_is_named(
    pet: dict[str, Any], english: str, chinese: str
) -> None:
    with pytest.raises(ValidationError) as raised:
        Owner.model_validate({"pet": pet})
    (wrong,) = wrong_fields(raised.value.errors())
    assert (wrong.field, wrong.sentence.english()) == ("pet.kind", english)
    with use_locale("zh-CN"):
        assert say(wrong.sentence) == chinese


def test_a_validators_sentence_keeps_its_values() -> None:
    class Even(BaseModel):
        number: int

        @field_validator("number")
        @classmethod
        def _is_even(cls, value: int) -> int:
            raise WrongValue("%(field)s must be even, and %(value)d is not.", value=value)

    with pytest.raises(ValidationError) as raised:
        Even(number=3)
    (wrong,) = wrong_fields(raised.value.errors())
    assert wrong.sentence.english() == "number must be even, and 3 is not."
