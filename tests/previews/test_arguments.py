"""Arguments of chat templates: what is offered, and how what was typed becomes a value."""

from dataclasses import replace

from app.masking import ChatTokenizer
from app.previews.arguments import (
    Offered,
    offered_arguments,
    read_arguments,
    typed_arguments,
    write_arguments,
)
from tests.previews.conftest import PLAIN_TEMPLATE, MakeConversation, MakeModel, form_of, labels_on
from tests.support.people import Person, visible_text

HTMX = {"HX-Request": "true"}
THINKING_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}{% endif %}{% endif %}"
)
GREETING_TEMPLATE = "{% if greeting is defined %}{{ greeting }}\n{% endif %}" + PLAIN_TEMPLATE
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


def test_an_argument_changes_the_rendering_and_stays_in_the_address(
    annotator: Person, make: MakeConversation, make_model: MakeModel
) -> None:
    make_model("Greets", GREETING_TEMPLATE)
    path = f"/conversations/{make()}/mask"
    page = annotator.browser.get(path).text
    assert 'name="argument.greeting"' in page
    sent = {**form_of(page), "argument.greeting": "Hello there"}
    answer = annotator.browser.post(path, data=sent, headers=HTMX)
    assert "Hello" in visible_text(answer.text)
    address = answer.headers["HX-Replace-Url"]
    assert "argument.greeting=Hello+there" in address
    again = annotator.browser.get(address).text
    assert labels_on(again) == labels_on(answer.text) != labels_on(page)
    assert 'value="Hello there"' in again
    # the form that is there already is left alone
    assert "argument-fields" not in answer.text


def test_another_models_arguments_come_with_it_and_unread_ones_are_named(
    annotator: Person, make: MakeConversation, make_model: MakeModel
) -> None:
    greets, thinks = make_model("Greets", GREETING_TEMPLATE), make_model("Thinks", THINKING_TEMPLATE)
    path = f"/conversations/{make()}/mask"
    page = annotator.browser.get(f"{path}?base_model={greets}&argument.greeting=Hi").text
    sent = {**form_of(page), "base_model": str(thinks), "argument.greeting": "Hi"}
    answer = annotator.browser.post(path, data=sent, headers=HTMX)
    assert answer.status_code == 200
    assert "“Thinks” does not read the argument greeting" in visible_text(answer.text)
    assert 'name="argument.enable_thinking"' in answer.text
    assert 'name="argument.greeting"' not in answer.text
    assert "argument." not in answer.headers["HX-Replace-Url"]


def test_a_comparison_leaves_out_what_the_other_template_does_not_read(
    annotator: Person, make: MakeConversation, make_model: MakeModel
) -> None:
    greets, plain = make_model("Greets", GREETING_TEMPLATE), make_model("Plain", PLAIN_TEMPLATE)
    address = f"/conversations/{make()}/mask?base_model={greets}&argument.greeting=Hi&compare=model:{plain}"
    page = visible_text(annotator.browser.get(address).text)
    assert "The template of B does not read the argument greeting" in page
    assert "No label differs from B" in page
