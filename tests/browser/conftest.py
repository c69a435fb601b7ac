"""One installation and one Chromium for all browser tests; a signed-in, watched context for each."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, StorageState, sync_playwright

from tests.browser.dialogues import dialogues
from tests.browser.studio import Studio, running_studio, seed_dataset
from tests.browser.watching import Watch
from tests.support.live import ACTION_MS, TOASTS_STAY

USER: Final = "Mei Lin"
PASSWORD: Final = "a sentence only Mei knows"
_ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
OpenContext = Callable[..., BrowserContext]


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory, base_model_folder: Path) -> Iterator[Studio]:
    """The real server with its real workers."""
    with running_studio(tmp_path_factory.mktemp("studio"), base_model_folder.parent) as running:
        yield running


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The distribution's Chromium, without a window."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.fail("The browser tests need Chromium. Install it; on Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(_ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def signed_in(studio: Studio, chromium: Browser) -> StorageState:
    """Cookies of the first admin, who made the account at the address that the terminal shows."""
    context = chromium.new_context(locale="en-US")
    context.set_default_timeout(ACTION_MS)
    page = context.new_page()
    page.goto(studio.setup_address())
    page.get_by_label("User name").fill(USER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create the administrator").click()
    page.wait_for_url("**/datasets")
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def watch() -> Watch:
    """What the test's browsers complain about."""
    return Watch()


@pytest.fixture
def open_context(
    studio: Studio, chromium: Browser, signed_in: StorageState, watch: Watch
) -> Iterator[OpenContext]:
    """Makes watched contexts; when the test is over none of their pages may have complained."""
    contexts: list[BrowserContext] = []

    def make(*, signed: bool = True, locale: str = "en-US", **options: Any) -> BrowserContext:
        context = chromium.new_context(
            base_url=studio.url,
            locale=locale,
            storage_state=signed_in if signed else None,
            viewport={"width": 1280, "height": 900},
            **options,
        )
        context.set_default_timeout(ACTION_MS)
        context.add_init_script(TOASTS_STAY)
        watch.listen(context)
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        context.close()
    assert not watch.complaints, "the pages complained:\n" + "\n".join(watch.complaints)


@pytest.fixture
def page(open_context: OpenContext) -> Page:
    """A signed-in page in English."""
    return open_context().new_page()


@pytest.fixture(scope="session")
def seeded(studio: Studio, signed_in: StorageState) -> dict[str, Any]:
    """A dataset of five drafts for tests that only look at it: `id` and conversation `ids`."""
    return seed_dataset(studio, "Seeded for looking", dialogues(5, first=40))


@pytest.fixture
def own_dataset(studio: Studio, signed_in: StorageState, request: pytest.FixtureRequest) -> dict[str, Any]:
    """A dataset of three drafts that the test may change."""
    return seed_dataset(studio, request.node.name, dialogues(3, first=60))
