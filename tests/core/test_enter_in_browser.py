"""Enter in a field of any form does what the form's own button does, and nothing that stands beside it.

In a field of several lines that is Ctrl+Enter.
"""

import re
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, Page

from app.accounts.models import Role
from tests.support.live import serving, signed_in
from tests.support.pages import pages_of, run_id
from tests.support.people import make_person

__all__ = ["run_id"]

pytestmark = pytest.mark.browser

# Nothing is sent: what would be is noted by the page itself, before any other script hears of it.
NOTE: Final = """() => {
    window.pressed = [];
    window.addEventListener("submit", (event) => {
        event.preventDefault();
        event.stopImmediatePropagation();
        const { submitter } = event;
        const named = submitter?.name || submitter?.formAction !== event.target.action && submitter?.hasAttribute("formaction");
        const hidden = submitter && !submitter.checkVisibility();
        const beside = submitter?.closest("dialog") ?? event.target;
        const visible = [...event.target.elements].filter(
            (one) => one.type === "submit" && beside.contains(one) && one.checkVisibility({ visibilityProperty: true }));
        window.pressed.push({
            form: event.target.getAttribute("action"),
            submitter: submitter?.outerHTML.slice(0, 200) ?? null,
            fine: !submitter || (hidden && !named) || submitter.matches(".button--primary")
                || (visible.length === 1 && visible[0] === submitter),
        });
    }, true);
    for (const one of document.querySelectorAll("details")) one.open = true;
    for (const one of document.querySelectorAll("dialog")) one.show();
    const fields = [...document.querySelectorAll("form input")].filter((one) => one.form && one.checkVisibility()
        && /^(text|search|number|email|password|url)$/.test(one.type) && !one.disabled);
    // A choice that is offered and chosen is no fault of whoever presses Enter.
    for (const one of document.querySelectorAll("form select[required]")) {
        if (one.value === "" && one.selectedOptions.length)
            window.pressed.push({ form: one.form.getAttribute("action"), submitter: one.name, fine: false });
    }
    // The turns of a dialogue are saved one by one, and Ctrl+Enter leads to the next.
    const texts = [...document.querySelectorAll("form textarea:not([readonly], [disabled], [data-turn-text])")]
        .filter((one) => one.checkVisibility());
    const keys = [];
    for (const [some, key] of [[fields, "Enter"], [texts, "Control+Enter"]]) {
        for (const [form, field] of new Map(some.map((one) => [one.form, one]).reverse())) {
            form.noValidate = true;
            field.dataset.enter = keys.push(key) - 1;
        }
    }
    return keys;
}"""

TAKE: Final = "() => window.pressed.splice(0)"


def pressed(page: Page) -> list[dict[str, Any]]:
    """What Enter in the first field of each form of the page would send, and Ctrl+Enter in the first of several lines."""
    keys: list[str] = page.evaluate(NOTE)
    found: list[dict[str, Any]] = [{**one, "key": "Enter"} for one in page.evaluate(TAKE)]
    for number, key in enumerate(keys):
        field = page.locator(f'[data-enter="{number}"]')
        field.press(key)
        sent = page.evaluate(TAKE)
        if key != "Enter" and not sent:
            # A run that cannot be started yet is not started.
            waits = field.evaluate(
                "(one) => [...one.form.elements].find((of) => of.type === 'submit')?.disabled"
            )
            inside = field.evaluate("(one) => Boolean(one.closest('dialog'))")
            fine = waits and not inside
            sent = [{"form": field.get_attribute("name"), "submitter": "nothing", "fine": fine}]
        found += [{**one, "key": key} for one in sent]
    return found


def test_enter_in_any_form_of_any_page_is_what_its_own_button_does(
    app: FastAPI, browser: Browser, run_id: int
) -> None:
    person = make_person(app, Role.ADMIN)
    addresses: dict[str, str] = {}
    for address, text, _offers in pages_of(person.browser):
        # One page of each kind, and only those with a field to press Enter in.
        if re.search(r"<textarea|<input(?![^>]*type=.(hidden|checkbox|radio|file))", text):
            addresses.setdefault(re.sub(r"\d+", "N", urlsplit(address).path), address)
    addresses["mask"] = "/conversations/1/mask"
    forms: set[tuple[str, str]] = set()
    wrong: list[str] = []
    with serving(app) as url, signed_in(browser, url, person) as context:
        page = context.new_page()
        for address in addresses.values():
            page.goto(url + address, wait_until="domcontentloaded")
            for one in pressed(page):
                forms.add((one["key"], str(one["form"])))
                if not one["fine"]:
                    wrong.append(f"{address}: {one['key']} in {one['form']} presses {one['submitter']}")
    assert wrong == []
    for key, least in (("Enter", 8), ("Control+Enter", 6)):
        assert sum(pressed_key == key for pressed_key, _form in forms) >= least, forms
