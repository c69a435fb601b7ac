"""Browser contexts that hear every complaint: console errors, refused policies, uncaught exceptions, failed answers."""

from dataclasses import dataclass, field
from typing import Any, Final

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Response, ViewportSize, WebError

WIDTHS: Final = {"desktop": (1280, 900), "phone": (390, 844)}
_FAILED_LOAD: Final = "Failed to load resource"
# What htmx logs of a request that was under way when somebody left the page: that it is over, then why.
_IS_OVER: Final = "htmx:afterRequest"
_LEFT: Final = "htmx:sendAbort"
# Preloading style sheets, axe breaks the page's own policy, and asks for addresses that do not exist.
_AXE: Final = {"resultTypes": ["violations"], "preload": False}

# As narrow as tables still have columns, and on its side, where the menu takes of its width.
_TABLETS: Final = (660, 1024)
# A4 within its margins, in pixels of style sheets.
_PAPER: Final[ViewportSize] = {"width": 718, "height": 1000}
_CUT_OFF: Final = """() => [...document.querySelectorAll("main *")]
    .filter((element) => element.tagName !== "SELECT" && element.checkVisibility()
        && /auto|scroll/.test(getComputedStyle(element).overflow)
        && (element.scrollHeight > element.clientHeight + 2 || element.scrollWidth > element.clientWidth + 2))
    .map((element) => "cut off on paper: " + element.outerHTML.slice(0, 160))"""


@dataclass
class Watch:
    """What went wrong in one context. Statuses that a test provokes are expected by name."""

    expected_statuses: set[int] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)

    def listen(self, context: BrowserContext) -> None:
        """To everything of every page."""
        context.on("console", self._console)
        context.on("weberror", self._web_error)
        context.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        # Failed answers are judged by their status; the console repeats them without it.
        if message.type == "error" and not message.text.startswith(_FAILED_LOAD):
            # htmx logs the status it was answered with.
            if any(f"Status Error Code {status}" in message.text for status in self.expected_statuses):
                return
            if message.text.startswith(_LEFT):
                self._take_back_the_last(_IS_OVER)
                return
            self.complaints.append(f"{message.location.get('url')}: {message.text}")

    def _take_back_the_last(self, words: str) -> None:
        """Of several pages the messages may come mixed."""
        for place in reversed(range(len(self.complaints))):
            if words in self.complaints[place]:
                del self.complaints[place]
                return

    def _web_error(self, error: WebError) -> None:
        self.complaints.append(f"uncaught: {error.error}")

    def _response(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self.expected_statuses:
            self.complaints.append(f"{response.request.method} {response.url} answered {response.status}")


def assert_accessible(page: Page) -> None:
    """Axe finds nothing and nothing is wider than the window: on a desktop and a phone, light and dark. On a tablet nothing is wider
    either, and on paper no frame scrolls."""
    found: list[str] = []
    for name, (width, height) in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": height})
        found += _overflow(page, name)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            found += [f"{name}, {scheme}: {text}" for text in _violations(page)]
    for width in _TABLETS:
        page.set_viewport_size({"width": width, "height": 1000})
        found += _overflow(page, f"{width} pixels")
    page.set_viewport_size(_PAPER)
    page.emulate_media(color_scheme="light", media="print")
    found += page.evaluate(_CUT_OFF)
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(media="screen")
    assert not found, f"{page.url}:\n" + "\n".join(found)


def _violations(page: Page) -> list[str]:
    violations: list[dict[str, Any]] = Axe().run(page, options=_AXE).response["violations"]
    return [
        f"{item['id']} ({item['impact']}): {item['help']}: {item['nodes'][0]['html'][:300]}"
        for item in violations
    ]


def _overflow(page: Page, name: str) -> list[str]:
    wide = page.evaluate(
        """() => document.documentElement.scrollWidth > innerWidth
            ? [...document.querySelectorAll("body *")]
                .filter((element) => element.getBoundingClientRect().right > innerWidth + 1)
                .slice(0, 3).map((element) => element.outerHTML.slice(0, 160))
            : null"""
    )
    return [] if wide is None else [f"{name}: wider than the window: {wide}"]
