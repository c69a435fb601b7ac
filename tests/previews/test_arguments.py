"""Arguments of chat templates on the preview page: offered, kept, left out where no template reads them."""

from tests.previews.conftest import PLAIN_TEMPLATE, MakeConversation, MakeModel, form_of, labels_on
from tests.support.people import Person, visible_text

HTMX = {"HX-Request": "true"}
THINKING_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}{% endif %}{% endif %}"
)
GREETING_TEMPLATE = "{% if greeting is defined %}{{ greeting }}\n{% endif %}" + PLAIN_TEMPLATE


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
