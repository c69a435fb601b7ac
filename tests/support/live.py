"""The application on a real port, and a real Chromium in front of it."""

import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from app.accounts.access import SESSION_COOKIE
from tests.support.people import Person

# What a page is asked to do may take long where the machine is busy.
ACTION_MS = 60_000
# A page says in a corner what was done, for some seconds. Here it stays until it is closed, however late somebody looks.
TOASTS_STAY = """
window.staying = 0;
const later = window.setTimeout.bind(window);
window.setTimeout = (act, ...more) => {
    if (!String(act).includes("close(toast)")) return later(act, ...more);
    window.staying += 1;
    return 0;
};
"""


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Base URL of the app on a free port, in a thread."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    if not server.started:
        pytest.fail("The server ended while it started; its log says why.")
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(60)
        listener.close()


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium: the system's, or the one that playwright brought."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        if not path and not os.path.exists(playwright.chromium.executable_path):  # noqa: PTH110
            pytest.fail(
                "The browser tests need Chromium: install Debian's chromium, or name one in CHROMIUM."
            )
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def faults_of(page: Page) -> list[str]:
    """What will go wrong on this page unseen: exceptions, and what its content security policy refused."""
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if "Content Security" in said.text else None)
    return faults


def signed_in(browser: Browser, url: str, person: Person, locale: str = "en") -> BrowserContext:
    """A browser window of this person."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(ACTION_MS)
    context.add_init_script(TOASTS_STAY)
    context.add_cookies(
        [
            {"name": SESSION_COOKIE, "value": person.browser.cookies[SESSION_COOKIE], "url": url},
            {"name": "locale", "value": locale, "url": url},
        ]
    )
    return context
