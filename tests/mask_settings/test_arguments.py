"""Arguments of chat templates: what is offered, and how what was typed becomes a value."""

from dataclasses import replace

from app.mask_settings.arguments import (
    Offered,
    offered_arguments,
    read_arguments,
    typed_arguments,
    write_arguments,
)
from app.masking import ChatTokenizer
from tests.previews.conftest import PLAIN_TEMPLATE

OTHER_NAMES = (
    "{% set own = 1 %}{% for tool in builtin_tools or [] %}{{ tool }}{% endfor %}"
    "{% if not date_string is defined %}{% set date_string = 'today' %}{% endif %}{{ date_string }}{{ own }}"
    "{% if effort == 'high' or effort in ['low'] %}!{% endif %}{% if verbose %}?{% endif %}" + PLAIN_TEMPLATE
)


def test_a_template_offers_what_it_reads_and_not_its_own_variables(smollm2: ChatTokenizer) -> None:
    found = offered_arguments(smollm2.with_chat_template(OTHER_NAMES, "x", trusted=True), {"effort": "low"})
    assert found == [
        Offered("date_string", ""),
        Offered("effort", "low", words=("high", "low")),
        Offered("verbose", "", is_switch=True),
    ]
    assert offered_arguments(smollm2, {}) == []
    # one that was given is shown even if the template does not read it, so that it can be taken back
    assert offered_arguments(smollm2, {"old": "1"}) == [Offered("old", "1")]
    assert replace(found[2], value="7").options == ["true", "false", "7"]


def test_values_have_the_type_that_was_meant() -> None:
    typed = {"a": "true", "b": "12", "c": "0.5", "d": "high", "e": '"12"', "f": "[1]", "g": "NaN"}
    values = {"a": True, "b": 12, "c": 0.5, "d": "high", "e": "12", "f": "[1]", "g": "NaN"}
    assert read_arguments(typed) == values
    assert read_arguments(write_arguments(values)) == values
    assert typed_arguments({"argument.a": " x ", "argument.b": " ", "other": "1"}) == {"a": "x"}
