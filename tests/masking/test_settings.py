"""The settings of a mask: refused where they mean nothing, canonical and typed where they are stored."""

from typing import Any

import pytest

from app.masking import (
    Handling,
    MaskingError,
    MaskSettings,
    TemplateArguments,
    TrainOn,
)


def settings(**arguments: Any) -> MaskSettings:
    return MaskSettings(template_arguments=arguments)


def test_settings_without_arguments_are_stored_as_before() -> None:
    line = (
        '{"control_tokens": "neutralise", "handling": "whole", "max_length": null, '
        '"train_on": "assistant", "train_reasoning": true}'
    )
    assert MaskSettings().to_json() == MaskSettings(template_arguments={}).to_json() == line
    assert MaskSettings.from_json(line) == MaskSettings()


def test_settings_with_arguments_are_canonical_hashable_and_typed() -> None:
    one, two = settings(b=1, a="x"), settings(a="x", b=1)
    assert (one, hash(one), one.to_json()) == (two, hash(two), two.to_json())
    assert '"template_arguments": {"a": "x", "b": 1}' in one.to_json()
    assert MaskSettings.from_json(one.to_json()) == one
    # to a template these are three things
    assert len({settings(a=True), settings(a=1), settings(a=1.0)}) == 3
    given = {"a": 1}
    kept = TemplateArguments(given)
    given["a"] = 2
    assert dict(kept) == {"a": 1}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"max_length": 0}, "max_length must be at least 1, not 0"),
        ({"control_tokens": "drop"}, "control_tokens must be “neutralise” or “refuse”, not “drop”"),
    ],
)
def test_a_setting_that_means_nothing_is_refused_by_name(values: dict[str, Any], words: str) -> None:
    with pytest.raises(MaskingError, match=words):
        MaskSettings(**values)


def test_plain_values_become_what_they_name() -> None:
    chosen = MaskSettings(**{"train_on": "all", "handling": "per_turn"})
    assert (chosen.train_on, chosen.handling) == (TrainOn.ALL, Handling.PER_TURN)
    with pytest.raises(ValueError, match="everything"):
        MaskSettings(**{"train_on": "everything"})
