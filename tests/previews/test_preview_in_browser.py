"""The preview in real Chromium: pointing, walking and jumping, settings without a page load, long dialogues."""

import json
import re
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.previews.conftest import DIALOGUE, PLAIN_TEMPLATE, MakeConversation, MakeModel
from tests.previews.pointing import focused, inspected
from tests.support.live import signed_in
from tests.support.people import Person

pytestmark = pytest.mark.browser


def marked_letters(page: Page) -> str:
    text: str = page.evaluate("() => [...(CSS.highlights.get('token-letters') ?? [])].map(String).join('')")
    return text


def test_pointing_links_tokens_turns_and_letters(
    page: Page, url: str, make: MakeConversation, model_id: int
) -> None:
    page.goto(f"{url}/conversations/{make()}/mask")
    line = page.locator('.mask-line[data-link="turn-1"]')
    token = line.locator(".token-run--trained > span", has_text="people")
    token.hover()
    expect(line).to_have_class("mask-line is-linked")
    assert json.loads(inspected(page, "text")) == " people"
    expect(token).to_have_attribute("data-id", inspected(page, "id"))
    assert inspected(page, "label") == inspected(page, "id")
    assert (inspected(page, "role"), inspected(page, "turn")) == ("Assistant", "2")
    assert marked_letters(page) == " people"

    message = page.locator('.mask-line[data-link="turn-0"] .bubble__text')
    message.hover(position={"x": 4, "y": 8})
    expect(page.locator('[data-link="turn-0"]')).to_have_class("mask-line is-linked")
    expect(page.locator("#token-inspector [data-field=text]")).to_have_text('"What"')
    assert inspected(page, "label") == "−100"
    message.click(position={"x": 4, "y": 8})
    expect(focused(page)).to_have_text("What")


def test_the_keyboard_walks_tokens_borders_and_turns(
    page: Page, url: str, make: MakeConversation, model_id: int
) -> None:
    page.goto(f"{url}/conversations/{make()}/mask")
    page.keyboard.press("w")
    expect(focused(page)).to_have_text("<|im_start|>")
    assert page.evaluate("() => document.activeElement.title").startswith("Index: 0\nId: 1\nText: ")
    page.keyboard.press("ArrowRight")
    assert inspected(page, "index") == "1"
    page.keyboard.press("Shift+ArrowRight")
    expect(focused(page)).to_have_text("How")
    # the keyboard links as the pointer does: the turn, and the letters of the token in the message
    expect(page.locator('.mask-line[data-link="turn-1"]')).to_have_class("mask-line is-linked")
    expect(page.locator(".mask-line.is-linked")).to_have_count(1)
    assert marked_letters(page) == "How"
    page.keyboard.press("Shift+ArrowRight")
    assert json.loads(inspected(page, "text")) == "\n"
    page.keyboard.press("ArrowLeft")
    expect(focused(page)).to_have_text("<|im_end|>")
    assert "control token" in inspected(page, "note")
    page.keyboard.press("PageDown")
    page.keyboard.press("Home")
    assert focused(page).evaluate("token => token.closest('li').dataset.link") == "turn-2"
    page.keyboard.press("Control+End")
    last = int(inspected(page, "index"))
    assert last == page.evaluate("() => Number(document.getElementById('mask-preview').dataset.whole)") - 1
    page.keyboard.press("ArrowRight")
    assert inspected(page, "index") == str(last)
    page.keyboard.press("Control+Home")
    page.keyboard.press("ArrowDown")
    assert int(inspected(page, "index")) > 0
    expect(page.locator("[data-announcer]")).to_contain_text("Token")


def test_a_link_to_a_token_brings_it_into_view_with_the_focus(
    page: Page, url: str, make: MakeConversation, model_id: int
) -> None:
    long = [{"role": role, "content": "A word or two. " * 40} for role in ("user", "assistant") * 12]
    page.goto(f"{url}/conversations/{make(long)}/mask?max_length=&token=1900")
    expect(focused(page)).to_be_in_viewport()
    first = int(inspected(page, "index").split("–")[0])
    assert first <= 1900 < first + 8


def test_every_setting_renders_anew_without_a_page_load(
    page: Page, url: str, make: MakeConversation, model_id: int, make_model: MakeModel
) -> None:
    make_model("Plain", PLAIN_TEMPLATE)
    page.goto(f"{url}/conversations/{make()}/mask")
    page.evaluate("() => { window.stayed = true; }")
    trained = page.locator(".stat__value").first
    before = trained.inner_text()

    page.select_option("#field-train_on", "last_assistant")
    expect(trained).not_to_have_text(before)
    page.select_option("#field-train_on", "assistant")
    expect(trained).to_have_text(before)
    page.select_option("#field-handling", "per_turn")
    page.get_by_role("link", name="Turns 1–4").click()
    expect(page.locator("#sample-1")).to_have_attribute("aria-current", "page")
    page.get_by_role("link", name="Turns 1–2").click()
    expect(page.locator("#sample-0")).to_have_attribute("aria-current", "page")
    page.select_option("#field-handling", "whole")
    page.locator("[data-mirror]").evaluate(
        "slider => { slider.value = 50; for (const n of ['input', 'change'])"
        " slider.dispatchEvent(new Event(n, { bubbles: true })); }"
    )
    expect(page.locator(".token-cut-line")).to_have_count(1)
    expect(page.locator("#field-max_length")).to_have_value("50")
    page.locator("#field-max_length").fill("")
    page.locator("#field-max_length").press("Tab")
    expect(page.locator(".token-cut-line")).to_have_count(0)
    page.select_option("#field-base_model", label="Plain")
    expect(page.locator(".mask-line--template")).to_have_count(0)
    page.get_by_role("button", name="Trained: turn 2").click()
    expect(page.locator("#flag-1")).to_have_text("Context only")
    expect(page.locator("#flag-1")).to_be_focused()
    page.locator("#follow-1").click()
    expect(page.locator("#flag-1")).to_have_text("Trained")
    page.locator("summary", has_text="Try another chat template").click()
    page.locator("#field-chat_template").fill("{% if %}")
    page.locator("#field-chat_template").press("Tab")
    expect(page.get_by_text("There is no exact mask to show")).to_be_visible()
    assert page.evaluate("() => window.stayed") is True


def test_a_flag_is_flipped_from_the_token_one_stands_on(
    page: Page, url: str, make: MakeConversation, model_id: int
) -> None:
    page.goto(f"{url}/conversations/{make()}/mask?token=0")
    page.keyboard.press("Shift+ArrowRight")
    expect(focused(page)).to_have_text("How")
    page.keyboard.press("t")
    expect(page.locator("#flag-1")).to_have_text("Context only")
    expect(focused(page)).to_have_text("How")
    assert inspected(page, "label") == "−100"
    page.keyboard.press("t")
    expect(page.locator("#flag-1")).to_have_text("Trained")
    expect(focused(page)).to_have_text("How")
    page.keyboard.press("Control+Home")
    page.keyboard.press("t")  # the template's own text has no flag
    page.keyboard.press("ArrowRight")
    assert inspected(page, "index") == "1"
    expect(page.locator(".unsaved")).to_contain_text("1 flag is tried")


def test_flags_are_saved_and_differences_walked(
    page: Page, url: str, annotator: Person, make: MakeConversation, model_id: int
) -> None:
    number = make()
    page.goto(f"{url}/conversations/{number}/mask?compare=strategy:last_assistant")
    page.keyboard.press("d")
    expect(focused(page)).to_have_text("How")
    assert "trained only in A" in inspected(page, "note")
    page.locator("#flag-1").click()
    page.get_by_role("button", name="Save flags to the conversation").click()
    expect(page.locator(".toast")).to_contain_text("saved to the conversation")
    expect(page.locator(".unsaved")).to_have_count(0)
    stored = annotator.api.get(f"/api/v1/conversations/{number}").json()["messages"]
    assert stored[1]["train"] is False


def test_the_sample_is_copied_as_the_headless_contracts_object(
    page: Page, url: str, make: MakeConversation, model_id: int
) -> None:
    page.goto(f"{url}/conversations/{make()}/mask")
    page.get_by_role("button", name="Copy as JSON").click()
    expect(page.locator(".toast")).to_contain_text("Copied")
    copied = json.loads(page.evaluate("() => navigator.clipboard.readText()"))
    assert list(copied) == ["text", "strategy", "tokens", "trained", "skipped", "truncated", "checks"]
    assert copied["trained"] == sum(token["trained"] for token in copied["tokens"])


def seconds_of_work(page: Page) -> Callable[[], float]:
    """How long the page's own thread has been at work so far, by the clock of the processor, which a busy machine does not slow."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def asked() -> float:
        told = session.send("Performance.getMetrics")["metrics"]
        return next(float(one["value"]) for one in told if one["name"] == "TaskDuration")

    return asked


def test_a_dialogue_of_sixteen_thousand_tokens_works(
    page: Page, url: str, make: MakeConversation, model_id: int
) -> None:
    words = "The quick offer covers twelve seats, reminders and onboarding. 价格按人数算。"
    long = [{"role": role, "content": " ".join([words] * 15)} for role in ("user", "assistant") * 24]
    worked = seconds_of_work(page)
    before = worked()
    page.goto(f"{url}/conversations/{make(long)}/mask?max_length=")
    expect(page.locator(".token-run > span").first).to_be_visible()
    whole = page.evaluate("() => Number(document.getElementById('mask-preview').dataset.whole)")
    assert whole > 16_000
    assert worked() - before < 3, "some ten times of what it is"
    before = worked()
    page.evaluate(
        """() => new Promise((done) => {
            document.addEventListener(
                "htmx:afterSettle", () => requestAnimationFrame(() => setTimeout(done)), { once: true },
            );
            const field = document.getElementById("field-train_on");
            field.value = "last_assistant";
            field.dispatchEvent(new Event("change", { bubbles: true }));
        })"""
    )
    assert worked() - before < 3
    page.locator(".token-run > span").first.focus()
    page.keyboard.press("Control+End")
    expect(focused(page)).to_be_in_viewport()
    before = worked()
    page.evaluate(
        """() => new Promise((done) => {
            let frames = 0;
            scrollTo(0, 0);
            const frame = () => {
                scrollBy(0, 400);
                if ((frames += 1) < 60) requestAnimationFrame(frame);
                else done();
            };
            requestAnimationFrame(frame);
        })"""
    )
    assert (worked() - before) / 60 < 0.1, "a frame"


@pytest.mark.parametrize(
    ("locale", "scheme", "width"), [("en", "light", 1280), ("zh-CN", "dark", 390)], ids=["en", "zh"]
)
def test_axe_finds_nothing(
    browser: Browser,
    url: str,
    annotator: Person,
    make: MakeConversation,
    model_id: int,
    make_model: MakeModel,
    locale: str,
    scheme: str,
    width: int,
) -> None:
    other = make_model("Plain", PLAIN_TEMPLATE)
    number = make([{**DIALOGUE[0]}, {**DIALOGUE[1], "train": False}, *DIALOGUE[2:]])
    context = signed_in(browser, url, annotator, locale)
    page = context.new_page()
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 900})
    for path in (
        f"/conversations/{number}/mask?max_length=70&compare=strategy:all&flags=3:0&token=8",
        f"/conversations/{number}/mask?compare=model:{other}&handling=per_turn",
        f"/conversations/{number}/mask?max_length=0",
        "/help/masking",
    ):
        page.goto(url + path)
        page.evaluate(
            "() => document.querySelectorAll('main details').forEach((one) => { one.open = true; })"
        )
        found = Axe().run(page)
        assert found.response["violations"] == [], path
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), path


def test_template_arguments_follow_the_model_and_render_anew(
    page: Page, url: str, make: MakeConversation, model_id: int, make_model: MakeModel
) -> None:
    make_model("Greets", "{% if greeting is defined %}{{ greeting }}\n{% endif %}" + PLAIN_TEMPLATE)
    page.goto(f"{url}/conversations/{make()}/mask")
    page.evaluate("() => { window.stayed = true; }")
    fields = page.locator("#argument-fields")
    expect(fields).to_be_hidden()
    page.select_option("#field-base_model", label="Greets")
    expect(fields).to_be_visible()
    page.get_by_label("greeting").fill("Guten Tag")
    page.get_by_label("greeting").press("Tab")
    expect(page.locator("#mask-lines")).to_contain_text("Guten")
    expect(page).to_have_url(re.compile("argument.greeting=Guten"))
    page.select_option("#field-base_model", label="SmolLM2")
    expect(fields).to_be_hidden()
    expect(page.locator("#mask-preview")).to_contain_text("does not read the argument greeting")
    assert page.evaluate("() => window.stayed") is True


def test_next_and_previous_keep_the_settings_that_were_changed(
    page: Page, url: str, make: MakeConversation, model_id: int
) -> None:
    first, second = make(), make()
    page.goto(f"{url}/conversations/{first}/mask")
    page.select_option("#field-train_on", "last_assistant")
    expect(page.locator("#mask-neighbours a[rel=next]")).to_have_attribute(
        "href", re.compile("last_assistant")
    )
    page.locator("h1").click()
    page.keyboard.press("j")
    page.wait_for_url(f"{url}/conversations/{second}/mask?**")
    expect(page.locator("#field-train_on")).to_have_value("last_assistant")
