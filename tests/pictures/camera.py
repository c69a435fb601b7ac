"""Parts of pages as WebP files, which Chromium itself writes."""

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from playwright.sync_api import BrowserContext, FloatRect, Page, ViewportSize

from tests.browser.studio import Studio
from tests.support.live import chromium

# Of a file; the documents load them all.
MOST_BYTES: Final = 150_000
_MARGIN: Final = 12
_WINDOW: Final[ViewportSize] = {"width": 1240, "height": 860}
_QUALITIES: Final = (0.9, 0.8, 0.7, 0.6)
_TO_WEBP: Final = """async ([png, quality]) => {
  const image = new Image();
  image.src = "data:image/png;base64," + png;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext("2d").drawImage(image, 0, 0);
  return canvas.toDataURL("image/webp", quality).split(",")[1];
}"""


@contextmanager
def windows(studio: Studio) -> Iterator[dict[str, BrowserContext]]:
    """A window for each language of the documents, by the ending of their names, signed in as the administrator who is made here."""
    with chromium() as browser:
        contexts: dict[str, BrowserContext] = {}
        for ending, locale in (("", "en-US"), (".zh-CN", "zh-CN")):
            first = contexts.get("")
            context = browser.new_context(
                base_url=studio.url,
                locale=locale,
                color_scheme="light",
                viewport=_WINDOW,
                reduced_motion="reduce",
                storage_state=first.storage_state() if first else None,
            )
            context.set_default_timeout(60_000)
            if first is None:
                _make_administrator(context.new_page(), studio)
            contexts[ending] = context
        yield contexts


def _make_administrator(page: Page, studio: Studio) -> None:
    page.goto(studio.setup_address())
    page.get_by_label("User name").fill("Mei Lin")
    page.get_by_label("Password").fill("a sentence only Mei knows")
    page.get_by_role("button", name="Create the administrator").click()
    page.wait_for_url("**/datasets")
    page.close()


def take(page: Page, shown: Sequence[str], file: Path) -> int:
    """What reaches from the first to the last of the selectors, or without any the window; the size of the file in bytes."""
    page.evaluate("document.fonts.ready")
    page.wait_for_timeout(500)
    png = page.screenshot(full_page=True, clip=_around(page, shown)) if shown else page.screenshot()
    blank = page.context.new_page()
    for quality in _QUALITIES:
        found: str = blank.evaluate(_TO_WEBP, [base64.b64encode(png).decode(), quality])
        content = base64.b64decode(found)
        if len(content) <= MOST_BYTES:
            break
    else:
        raise ValueError(f"{file.name} would have {len(content)} bytes; show less of the page")
    blank.close()
    file.write_bytes(content)
    return len(content)


def _around(page: Page, shown: Sequence[str]) -> FloatRect:
    boxes = [box for one in shown if (box := page.locator(one).first.bounding_box())]
    if len(boxes) < len(shown):
        raise ValueError(f"{page.url} does not show {', '.join(shown)}")
    # Boxes are told from the window's edge, a clip from the page's.
    above = page.evaluate("window.scrollY")
    left, top = min(box["x"] for box in boxes), min(box["y"] for box in boxes) + above
    right = max(box["x"] + box["width"] for box in boxes)
    bottom = max(box["y"] + box["height"] for box in boxes) + above
    return {
        "x": max(left - _MARGIN, 0),
        "y": max(top - _MARGIN, 0),
        "width": right - left + 2 * _MARGIN,
        "height": bottom - top + 2 * _MARGIN,
    }
