"""Names as long as they may be, with no place to break, leave every page as wide as a phone is, and are read on a tablet."""

import json
from itertools import chain

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser

from app.accounts.models import Role
from app.core.database import transaction
from app.core.storage import Storage
from app.runs.preflight.items import Name
from app.runs.service import RunRequest, start_run
from tests.support.live import signed_in
from tests.support.people import Person, make_person
from tests.support.training import ENGINEER, SUITES, make_check

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("silent_bell")]
# Text of which a line has room for a few letters at most, so that it stands there letter below letter.
SQUEEZED = """() => [...document.querySelectorAll("main *")].filter((element) => {
    const own = [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE).map((node) => node.data.trim()).join("");
    const { width, height } = element.getBoundingClientRect();
    const letter = parseFloat(getComputedStyle(element).fontSize);
    return own.length > 20 && width < 3 * letter && height > 6 * letter
        && element.checkVisibility() && !element.closest(".visually-hidden");
}).map((element) => element.outerHTML.slice(0, 120))"""
UNBROKEN, CHINESE = "VeryLongUnbrokenName" * 4, "华东区第三季度销售对话（含异议处理与报价谈判）" * 3


def test_names_that_never_break_make_no_page_wider_than_a_phone_and_are_read_on_a_tablet(
    app: FastAPI, browser: Browser, url: str, admin: Person, storage: Storage
) -> None:
    for name in (UNBROKEN[:60], CHINESE[:60]):
        make_person(app, Role.ANNOTATOR, name)
    with transaction(app.state.engine) as session:
        check = make_check(session, storage).id or 0
        for name in (UNBROKEN, CHINESE):
            asked = RunRequest(check, confirmed=True, accepted_warnings=tuple(Name), name=name)
            start_run(session, ENGINEER, asked, suites=SUITES)
    made = admin.api.post("/api/v1/datasets", json={"name": UNBROKEN, "description": UNBROKEN})
    dataset = made.json()["id"]
    said = {"messages": [{"role": "user", "content": UNBROKEN}, {"role": "assistant", "content": CHINESE}]}
    line = json.dumps({**said, "stage": CHINESE[:40], "product": UNBROKEN[:40], "tags": [UNBROKEN[:40]]})
    file = {"file": (f"{UNBROKEN}.jsonl", line.encode())}
    assert admin.api.post(f"/api/v1/datasets/{dataset}/imports", files=file).json()["accepted"] == 1
    wide, squeezed = {}, {}
    with signed_in(browser, url, admin) as context:
        page = context.new_page()
        page.set_viewport_size({"width": 390, "height": 844})
        inside = (
            f"/datasets/{dataset}{part}" for part in ("", "/people", "/imports", "/settings", "/versions")
        )
        for path in chain(
            inside, ("/datasets", "/runs", "/runs/1", "/runs/2", "/queue", "/people", "/mask-checks")
        ):
            page.goto(url + path)
            if (width := page.evaluate("document.documentElement.scrollWidth")) > 390:
                wide[path, 390] = width
            # As narrow as tables still have columns; a tablet upright, and on its side.
            for tablet in (660, 820, 1024):
                page.set_viewport_size({"width": tablet, "height": 900})
                if (width := page.evaluate("document.documentElement.scrollWidth")) > tablet:
                    wide[path, tablet] = width
                if found := page.evaluate(SQUEEZED):
                    squeezed[path, tablet] = found
            page.set_viewport_size({"width": 390, "height": 844})
        # The role beside a long name is still to be read.
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(f"{url}/people")
        assert page.eval_on_selector("td select", "one => one.offsetWidth") > 120
    assert wide == {}
    assert squeezed == {}
