"""What the preview page in a browser shows of the token one points at or stands on."""

from playwright.sync_api import Locator, Page


def inspected(page: Page, name: str) -> str:
    return page.locator(f"#token-inspector [data-field={name}]").inner_text()


def focused(page: Page) -> Locator:
    return page.locator(".token-run > span:focus")
