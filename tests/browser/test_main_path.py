"""The way of a person through the whole product: from a file to two models answering side by side."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PASSWORD, USER, OpenContext
from tests.browser.dialogues import dialogues, write_lines
from tests.browser.studio import Studio
from tests.browser.watching import Watch, assert_accessible

pytestmark = [pytest.mark.browser, pytest.mark.model, pytest.mark.timeout(1500)]

CORRECTED = "Certainly. Harbor costs 42 dollars a month; what would you use it for?"
STEPS = 6
# Enough for a verdict; both models answer each.
CASES = 10
# Training and generating share two cores with the browser, and perhaps with other tests.
PATIENCE_MS = 300_000


def test_from_a_file_to_a_tuned_model_that_answers(
    open_context: OpenContext, studio: Studio, watch: Watch, base_model_folder: Path, tmp_path: Path
) -> None:
    page = open_context(signed=False).new_page()
    _sign_in(page, watch)
    _add_base_model(page, base_model_folder)
    _create_dataset(page)
    _import_files(page, watch, tmp_path)
    _correct_flag_and_approve_one(page)
    _look_at_the_mask(page)
    _approve_the_rest_and_freeze(page)
    _start_a_run_with_an_impatient_finger(page, studio)
    _watch_it_live(page, studio)
    _evaluate(page)
    _chat(page)


def _sign_in(page: Page, watch: Watch) -> None:
    watch.expected_statuses |= {401}
    page.goto("/datasets")
    page.get_by_role("link", name="Sign in").or_(page.get_by_role("button", name="Sign in")).first.wait_for()
    page.goto("/login?next=/base-models")
    page.get_by_label("User name").fill(USER)
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert").or_(page.locator(".callout")).first).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/base-models")
    watch.expected_statuses -= {401}


def _add_base_model(page: Page, folder: Path) -> None:
    page.get_by_text("Folder on the server", exact=True).click()
    page.get_by_label("Hub id or folder").fill(str(folder))
    page.get_by_label("Name").fill("Little one")
    page.get_by_role("button", name="Add model").click()
    row = page.get_by_role("row").filter(has_text="Little one")
    expect(row.get_by_text("Ready")).to_be_visible(timeout=PATIENCE_MS)


def _create_dataset(page: Page) -> None:
    page.get_by_role("link", name="Datasets").first.click()
    page.get_by_role("link", name="New dataset").first.click()
    dialog = page.get_by_role("dialog", name="New dataset")
    dialog.get_by_label("Name").fill("First calls")
    dialog.get_by_role("button", name="Create dataset").click()
    expect(page.get_by_role("heading", name="First calls")).to_be_visible()


def _import_files(page: Page, watch: Watch, folder: Path) -> None:
    """A good file comes in; a file with a broken line stays out until its bad line is skipped."""
    good = write_lines(folder / "calls.jsonl", [*dialogues(12)])
    broken = write_lines(
        folder / "more.jsonl",
        [*dialogues(1, first=20), '{"messages": [{"role": "user"', *dialogues(1, first=21)],
    )
    page.get_by_role("link", name="Import a file").click()
    page.locator("#field-file").set_input_files(good)
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text(re.compile(r"drafts of the dataset are left to be read"))).to_be_visible()
    expect(page.locator(".stat").filter(has_text="Added")).to_contain_text("12")

    page.get_by_role("link", name="First calls").click()
    page.get_by_role("link", name="Import", exact=True).click()
    page.locator("#field-file").set_input_files(broken)
    watch.expected_statuses |= {422}
    page.get_by_role("button", name="Import", exact=True).click()
    report = page.locator("#import-report")
    expect(report.get_by_text("Nothing came in")).to_be_visible()
    expect(report.locator("li, tr").filter(has_text="on line 2")).to_have_count(1)
    watch.expected_statuses -= {422}
    page.get_by_role("button", name="Import again, skipping bad lines").click()
    expect(page.get_by_text("Imported in part")).to_be_visible()
    expect(page.locator(".stat").filter(has_text="Added")).to_contain_text("2")
    page.get_by_role("link", name="Read the drafts").click()


def _correct_flag_and_approve_one(page: Page) -> None:
    page.get_by_role("link", name=re.compile("^Caller 1:")).click()
    state = page.locator("[data-save-state]")
    expect(state).to_have_text("All changes are saved")
    text = page.get_by_label("Text of turn 2")
    with page.expect_response(lambda answer: answer.request.method == "POST" and "/turns/" in answer.url):
        text.fill(CORRECTED)
    expect(state).to_have_text("All changes are saved")
    # The last turn: by strategy, then always, then never trained.
    last = page.locator("#turn-4")
    last.get_by_role("button", name="By strategy").click()
    last.get_by_role("button", name="Always trained").click()
    expect(last.get_by_role("button", name="Context only")).to_be_visible()
    page.get_by_role("button", name="Approve", exact=True).click()
    expect(page.locator("#review-panel")).to_contain_text("Approved")
    page.reload()
    expect(text).to_have_value(CORRECTED)
    expect(page.locator("#review-panel")).to_contain_text("Approved")


def _look_at_the_mask(page: Page) -> None:
    """The corrected answer is trained; the turn that was flagged, and every customer, is not."""
    page.get_by_role("link", name="Mask preview").click()
    expect(page.get_by_text(re.compile(r"All \d+ checks passed"))).to_be_visible()
    expect(page.locator(".token-run--trained").first).to_be_visible()
    trained = "".join(page.locator('.token-run--trained[data-turn="1"]').all_text_contents())
    assert "Harbor" in trained
    assert "dollars" in trained
    for turn in (0, 2, 3):
        expect(page.locator(f'.token-run[data-turn="{turn}"]')).not_to_have_count(0)
        expect(page.locator(f'.token-run--trained[data-turn="{turn}"]')).to_have_count(0)
    assert_accessible(page)
    page.get_by_role("link", name="Conversation", exact=True).click()


def _approve_the_rest_and_freeze(page: Page) -> None:
    page.get_by_role("link", name=re.compile("^Back to the")).click()
    page.get_by_role("button", name="Approve all not reviewed").click()
    page.get_by_role("dialog").get_by_role("button", name="Approve all").click()
    expect(page.get_by_role("link", name=re.compile(r"Approved\s*14"))).to_be_visible()
    page.reload()
    page.get_by_role("link", name="Freeze version").click()
    page.get_by_role("dialog").get_by_role("button", name="Freeze", exact=True).click()
    expect(page.get_by_role("heading", name=re.compile("Version 1"))).to_be_visible()


def _start_a_run_with_an_impatient_finger(page: Page, studio: Studio) -> None:
    page.get_by_role("link", name="New run").first.click()
    page.locator("label[for=recipe-quick]").click()
    page.get_by_text("All settings").click()
    for name, value in {
        "max_steps": STEPS,
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 1,
        "logging_steps": 1,
        "eval_steps": 3,
    }.items():
        page.locator(f"#field-{name}").fill(str(value))
    check = page.locator("#mask-check")
    expect(check.get_by_text("Green")).to_be_visible(timeout=PATIENCE_MS)
    start = page.get_by_role("button", name="Start training")
    expect(start).to_be_disabled()
    page.get_by_label("I have looked at the masks").check()
    expect(page.locator("#plan strong").first).to_have_text(str(STEPS))
    # It begins once somebody watches: a quick machine would be done with it before.
    studio.held.touch()
    start.dblclick()
    page.wait_for_url(re.compile(r"/runs/\d+$"))


def _watch_it_live(page: Page, studio: Studio) -> None:
    """Curve and counter grow without a reload; a reload in the middle loses nothing. The run goes on once this was seen."""
    canvas = page.locator('[data-curve="loss"] canvas')
    # The page itself notes what is drawn: this process may look too late.
    page.evaluate(
        """() => {
            window.stillTheSamePage = true;
            window.drawn = new Set();
            setInterval(() => {
                const canvas = document.querySelector('[data-curve="loss"] canvas');
                if (canvas) window.drawn.add(canvas.toDataURL());
            }, 50);
        }"""
    )
    for step in (1, 3):
        drawn = page.evaluate("() => window.drawn.size")
        studio.let_go(step)
        expect(page.locator('[data-live="step"]')).to_have_text(str(step), timeout=PATIENCE_MS)
        page.wait_for_function("before => window.drawn.size > before", arg=drawn, timeout=PATIENCE_MS)
    assert page.evaluate("() => window.stillTheSamePage"), "the page was loaded anew"
    page.reload()
    expect(canvas).to_be_visible()
    expect(page.locator('[data-live="step"]')).to_have_text("3")
    studio.held.unlink()
    expect(page.locator("#run-status").get_by_role("status")).to_have_text(
        re.compile("Succeeded"), timeout=PATIENCE_MS
    )
    expect(page.locator('[data-live="step"]')).to_have_text(str(STEPS))
    files = page.locator("#run-results")
    expect(files.get_by_role("row").filter(has_text="adapter_model.safetensors")).to_be_visible()
    expect(page.locator("#run-about")).to_contain_text("Computed on")
    expect(page.locator("#lineage").get_by_role("link", name="Adapter")).to_be_visible()
    page.get_by_text("Values as a table").click()
    values = page.locator("#curve-values tbody").get_by_role("rowheader")
    # Held-out loss is measured before the first step too.
    expect(values).to_have_text([str(step) for step in range(STEPS + 1)])
    assert_accessible(page)
    page.goto("/runs")
    expect(page.locator("#runs tbody tr")).to_have_count(1)
    page.locator("#runs tbody a").click()


def _evaluate(page: Page) -> None:
    page.get_by_role("link", name="Evaluate", exact=True).click()
    page.get_by_label("Suite").select_option(label="General ability, English")
    page.get_by_label("Cases at most").fill(str(CASES))
    page.get_by_role("button", name="Start the evaluation").click()
    page.wait_for_url(re.compile(r"/evaluations/\d+$"))
    expect(page.get_by_role("heading", name="Cases", exact=True)).to_be_visible(timeout=2 * PATIENCE_MS)
    expect(page.locator("[data-case]")).to_have_count(CASES)
    for side in ("base", "tuned"):
        answers = page.locator(f"[data-case] .answer--{side} .case__text--evidence").all_text_contents()
        assert len(answers) > CASES // 2
    expect(page.locator(".stat").filter(has_text="Checks passed")).to_contain_text("→")
    expect(page.locator(".verdict")).to_contain_text(f"{CASES} cases")
    expect(page.get_by_text("Both models answered greedily")).to_be_visible()
    assert_accessible(page)
    page.get_by_role("navigation", name="From the imports to the files").get_by_role("link").nth(4).click()
    expect(page.locator("#run-results")).to_contain_text(re.compile(r"of \d+ checks"))
    expect(page.locator("#run-results")).to_contain_text("Held-out loss in the evaluation, base → tuned")


def _chat(page: Page) -> None:
    """Both sides answer, piece by piece."""
    page.get_by_role("link", name="Try it").last.click()
    page.get_by_text("Settings", exact=True).click()
    page.get_by_label("Longest answer").fill("24")
    page.evaluate(
        """() => {
            window.seen = { base: new Set(), tuned: new Set() };
            for (const side of ["base", "tuned"]) {
                const log = document.querySelector(`[data-log="${side}"]`);
                new MutationObserver(() => window.seen[side].add(log.textContent.length))
                    .observe(log, { childList: true, subtree: true, characterData: true });
            }
        }"""
    )
    message = page.get_by_label("Your message")
    message.fill("Tell me about your product.")
    message.press("Enter")
    expect(page.get_by_role("button", name="Send")).to_be_disabled()
    expect(page.get_by_role("button", name="Send")).to_be_enabled(timeout=PATIENCE_MS)
    for side in ("base", "tuned"):
        log = page.locator(f'[data-log="{side}"]')
        expect(log.locator(".bubble--assistant .bubble__text")).not_to_be_empty()
        assert page.evaluate("side => window.seen[side].size", side) > 2, f"{side} came in one piece"
    assert_accessible(page)
