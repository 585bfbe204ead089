"""Pages of a real headless Chromium, by Playwright; what they log as an error stands in `problems`."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
DESKTOP, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}
MILLISECONDS = 60_000  # a busy machine is slow


@contextmanager
def chromium() -> Iterator[tuple[Page, list[str]]]:
    """The system's Chromium: (a page of the desktop's size, the problems that it logs)."""
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    # Chromium refuses its sandbox to root, and /dev/shm is small in a container.
    options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    problems: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=options, timeout=2 * MILLISECONDS)
        yield _watched(browser.new_page(viewport=DESKTOP), problems), problems
        browser.close()


def phone_of(desktop: Page, problems: list[str]) -> Page:
    """Another page of the same Chromium, as on a telephone: small, touched, two dots a pixel."""
    browser = desktop.context.browser
    page = browser.new_page(viewport=PHONE, is_mobile=True, has_touch=True, device_scale_factor=2)
    return _watched(page, problems)


def _watched(page: Page, problems: list[str]) -> Page:
    page.set_default_timeout(MILLISECONDS)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    return page
