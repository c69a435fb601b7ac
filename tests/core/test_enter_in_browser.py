"""Enter in a field of any form does what the form's own button does, and nothing that stands beside it."""

import re
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI
from playwright.sync_api import Page

from app.accounts.models import Role
from tests.support.live import chromium, serving, signed_in
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
        const visible = [...event.target.elements].filter(
            (one) => one.type === "submit" && one.checkVisibility({ visibilityProperty: true }));
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
    const first = new Map(fields.map((field) => [field.form, field]).reverse());
    let number = 0;
    for (const [form, field] of first) {
        form.noValidate = true;
        field.dataset.enter = number++;
    }
    return number;
}"""


def pressed(page: Page) -> list[dict[str, Any]]:
    """What Enter in the first field of each form of the page would send."""
    for number in range(page.evaluate(NOTE)):
        page.locator(f'[data-enter="{number}"]').press("Enter")
    found: list[dict[str, Any]] = page.evaluate("() => window.pressed")
    return found


def test_enter_in_any_form_of_any_page_is_what_its_own_button_does(app: FastAPI, run_id: int) -> None:
    person = make_person(app, Role.ADMIN)
    addresses: dict[str, str] = {}
    for address, text, _offers in pages_of(person.browser):
        # One page of each kind, and only those with a field to press Enter in.
        if re.search(r"<input(?![^>]*type=.(hidden|checkbox|radio|file))", text):
            addresses.setdefault(re.sub(r"\d+", "N", urlsplit(address).path), address)
    addresses["mask"] = "/conversations/1/mask"
    forms: set[str] = set()
    wrong: list[str] = []
    with serving(app) as url, chromium() as browser:
        page = signed_in(browser, url, person).new_page()
        for address in addresses.values():
            page.goto(url + address, wait_until="domcontentloaded")
            for one in pressed(page):
                forms.add(str(one["form"]))
                if not one["fine"]:
                    wrong.append(f"{address}: Enter in {one['form']} presses {one['submitter']}")
    assert wrong == []
    assert len(forms) >= 8, forms
