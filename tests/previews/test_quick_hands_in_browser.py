"""What a quick hand does on the preview while an answer is on its way, and what a reload keeps."""

import re
import shutil
from pathlib import Path

import pytest
from fastapi import FastAPI
from playwright.sync_api import Page, expect

from app.core.settings import Settings
from tests.previews.conftest import PLAIN_TEMPLATE, MakeConversation
from tests.previews.pointing import focused, inspected
from tests.previews.test_bring import arrive, only_job

pytestmark = pytest.mark.browser


def test_a_flag_flipped_twice_in_a_breath_is_back_where_it_was(
    page: Page, url: str, make: MakeConversation, model_id: int
) -> None:
    page.goto(f"{url}/conversations/{make()}/mask?token=0")
    page.keyboard.press("Shift+ArrowRight")
    expect(focused(page)).to_have_text("How")
    page.evaluate(
        """() => { for (let i = 0; i < 2; i += 1) document.activeElement.dispatchEvent(
            new KeyboardEvent("keydown", { key: "t", bubbles: true })); }"""
    )
    page.wait_for_timeout(800)
    expect(page.locator("#flag-1")).to_have_text("Trained")
    expect(focused(page)).to_have_text("How")


def test_flags_of_two_turns_pressed_in_a_breath_both_count(
    page: Page, url: str, make: MakeConversation, model_id: int
) -> None:
    page.goto(f"{url}/conversations/{make()}/mask")
    page.evaluate("() => { for (const turn of [0, 1]) document.getElementById(`flag-${turn}`).click(); }")
    expect(page.locator(".unsaved")).to_contain_text("2 flags are tried")
    expect(page.locator("#flag-0")).to_have_text("Trained")
    expect(page.locator("#flag-1")).to_have_text("Context only")
    page.locator("#discard-flags").click()
    expect(page.locator(".unsaved")).to_have_count(0)


def test_one_stands_on_the_same_token_after_a_setting_changed_behind_ones_back(
    page: Page, url: str, make: MakeConversation, model_id: int
) -> None:
    page.goto(f"{url}/conversations/{make()}/mask?token=0")
    page.select_option("#field-train_on", "last_assistant")  # waits 120 ms before it asks
    page.locator(".token-run > span").first.focus()
    page.keyboard.press("PageDown")
    page.keyboard.press("ArrowRight")
    place = inspected(page, "index")
    expect(page.locator('[data-link="turn-1"] .token-run--trained')).to_have_count(0)
    expect(focused(page)).to_have_count(1)
    assert inspected(page, "index") == place
    page.keyboard.press("ArrowRight")
    assert int(inspected(page, "index")) > int(place)


def test_the_focus_that_went_elsewhere_meanwhile_stays_there(
    page: Page, url: str, make: MakeConversation, model_id: int
) -> None:
    page.goto(f"{url}/conversations/{make()}/mask?token=0")
    page.keyboard.press("Shift+ArrowRight")
    expect(focused(page)).to_have_text("How")
    page.keyboard.press("t")
    page.locator("#field-max_length").focus()
    expect(page.locator("#flag-1")).to_have_text("Context only")
    page.wait_for_timeout(100)
    expect(page.locator("#field-max_length")).to_be_focused()


def test_enter_in_the_length_shows_the_preview_and_copies_nothing(
    page: Page, url: str, make: MakeConversation, model_id: int
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{url}/conversations/{make()}/mask")
    page.locator("#field-max_length").fill("12")
    with page.expect_response(lambda response: response.request.method == "POST"):
        page.locator("#field-max_length").press("Enter")
    expect(page.locator(".token--cut, .token-run--cut").first).to_be_visible()
    expect(page.locator("#copy-json")).to_be_visible()
    assert not [one for one in asked if one.endswith("/json")]


def test_the_checks_stay_open_while_settings_change(
    page: Page, url: str, make: MakeConversation, model_id: int
) -> None:
    page.goto(f"{url}/conversations/{make()}/mask")
    page.locator(".mask-checks > summary").click()
    page.select_option("#field-train_on", "last_assistant")
    expect(page.locator('[data-link="turn-1"] .token-run--trained')).to_have_count(0)
    expect(page.locator(".mask-checks")).to_have_attribute("open", "")
    page.locator(".mask-checks > summary").click()
    page.select_option("#field-train_on", "assistant")
    expect(page.locator('[data-link="turn-1"] .token-run--trained')).not_to_have_count(0)
    expect(page.locator(".mask-checks")).not_to_have_attribute("open", "")


def test_a_reload_keeps_what_was_chosen_a_refusal_and_a_long_template_too(
    page: Page, url: str, make: MakeConversation, model_id: int
) -> None:
    number = make([{"role": "user", "content": "<|im_end|>"}, {"role": "assistant", "content": "Hm."}])
    page.goto(f"{url}/conversations/{number}/mask")
    page.select_option("#field-control_tokens", "refuse")
    expect(page.get_by_text("There is no exact mask to show")).to_be_visible()
    page.reload()
    expect(page.locator("#field-control_tokens")).to_have_value("refuse")
    page.select_option("#field-control_tokens", "neutralise")
    expect(page.locator("#mask-lines")).to_contain_text("SmolLM")

    long = PLAIN_TEMPLATE + "{# " + "x" * 6000 + " #}"
    page.get_by_text("Try another chat template").click()
    page.locator("#field-chat_template").fill(long)
    page.locator("#field-chat_template").press("Tab")
    expect(page.locator("#mask-lines")).not_to_contain_text("SmolLM")
    page.reload()
    expect(page.locator("#mask-lines")).not_to_contain_text("SmolLM")
    expect(page.locator("#field-chat_template")).to_have_value(long)
    # another conversation is another page: nothing is carried there unasked
    page.goto(f"{url}/conversations/{make()}/mask")
    expect(page.locator("#mask-lines")).to_contain_text("SmolLM")
    page.goto(f"{url}/conversations/{number}/mask")
    expect(page.locator("#mask-lines")).not_to_contain_text("SmolLM")
    page.locator("#field-chat_template").fill("")
    page.locator("#field-chat_template").press("Tab")
    expect(page.locator("#mask-lines")).to_contain_text("SmolLM")
    page.reload()
    expect(page.locator("#mask-lines")).to_contain_text("SmolLM")


@pytest.mark.usefixtures("silent_bell")
def test_a_model_is_brought_and_chosen_without_a_page_load(
    app: FastAPI,
    engineers_page: Page,
    url: str,
    make: MakeConversation,
    model_id: int,
    settings: Settings,
    smollm2_folder: Path,
) -> None:
    page = engineers_page
    page.goto(f"{url}/conversations/{make()}/mask?train_on=last_assistant")
    page.evaluate("() => { window.stayed = true; }")
    page.get_by_text("Bring another model").click()
    field = page.get_by_label("Hub id or folder")
    field.fill("/etc")
    field.press("Enter")
    expect(page.locator("#bring-error")).to_contain_text("Models may lie below")
    expect(field).to_be_focused()
    folder = settings.data_dir / "Mine"
    shutil.copytree(smollm2_folder, folder)
    (folder / "chat_template.jinja").write_text(PLAIN_TEMPLATE, encoding="utf-8")
    field.fill(str(folder))
    field.press("Enter")
    expect(page.locator("#bring-model")).to_contain_text("are being fetched")
    arrive(app, folder, only_job(app))
    expect(page.locator("#field-base_model")).to_have_value(str(model_id + 1))
    expect(page.locator("#field-base_model")).to_be_focused()
    expect(page.locator("#mask-lines")).not_to_contain_text("SmolLM")
    assert page.evaluate("() => window.stayed") is True
    expect(page).to_have_url(re.compile(rf"base_model={model_id + 1}\b"))
    page.reload()
    expect(page.locator("#field-base_model option:checked")).to_have_text("Mine (tokenizer only)")
