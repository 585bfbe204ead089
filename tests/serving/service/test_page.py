"""The page in a real browser; what it looked like stays in .pytest_cache/screenshots, or in PINCLIP_SCREENSHOTS."""

import base64
import re
from pathlib import Path

import pytest
from browser import DESKTOP, PHONE, chromium
from PIL import Image
from playwright.sync_api import Page, expect
from served_pins import TITLES, drawn

pytestmark = pytest.mark.timeout(900)
SHOWN = (  # of the pictures that can be seen: the others are loaded when they come near
    "() => [...document.querySelectorAll('#grid img')]"
    ".filter(i => i.getBoundingClientRect().top < innerHeight).every(i => i.complete)"
)


@pytest.fixture(scope="module")
def browser():
    expect.set_options(timeout=60_000)
    with chromium() as opened:
        yield opened


@pytest.fixture
def problems(browser):
    return browser[1]


@pytest.fixture
def page(browser, service):
    page, problems = browser
    problems.clear()
    page.set_viewport_size(DESKTOP)
    page.goto("about:blank")
    page.goto(f"{service.address}/")
    expect(page.locator("#space option")).to_have_count(2)
    yield page
    page.evaluate("0")  # whatever the page has logged by now arrives
    assert problems == []


def says(page: Page, text: str) -> None:
    expect(page.locator("#status")).to_contain_text(text)


def search(page: Page, text: str) -> None:
    page.locator("#words").select_text()
    page.locator("#words").focus()
    page.keyboard.insert_text(text)
    says(page, f"for “{text}”")
    expect(page.locator("#grid li")).not_to_have_count(0)


def colours(file: Path) -> int:
    with Image.open(file) as picture:
        return len(picture.convert("RGB").resize((320, 200)).quantize(64).getcolors())


def test_words_find_pins_in_the_order_of_the_service(page, service, screenshots):
    search(page, "coral circle")
    page.wait_for_function(SHOWN)
    asked = {"text": "coral circle", "k": 60}
    expected = [one["pin_id"] for one in service.post("/v1/search", asked).json()["results"]]
    shown = page.locator("#grid a").evaluate_all(
        "links => links.map(a => new URLSearchParams(a.hash.slice(1)).get('pin'))"
    )
    assert shown == expected
    page.screenshot(path=screenshots / "words.png")
    assert colours(screenshots / "words.png") > 20  # Pins, not an empty page


def test_keys_reach_everything(page, screenshots):
    search(page, "teal")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    second = page.locator("#grid a").nth(1)
    expect(second).to_be_focused()
    title = second.get_attribute("title")
    page.keyboard.press("Enter")
    says(page, "like this one")
    expect(page.locator("#about h2")).to_have_text(title)
    page.wait_for_function(SHOWN)
    page.screenshot(path=screenshots / "related.png")
    page.go_back()
    says(page, "for “teal”")


def test_a_picture_that_is_dropped_finds_its_like(page):
    page.evaluate(
        """picture => {
            const bytes = Uint8Array.from(atob(picture), (c) => c.charCodeAt(0));
            const data = new DataTransfer();
            data.items.add(new File([bytes], "pin.png", { type: "image/png" }));
            dispatchEvent(new DragEvent("drop", { dataTransfer: data, cancelable: true }));
        }""",
        base64.b64encode(drawn(4)).decode(),
    )
    says(page, "like the picture")
    expect(page.locator("#grid li")).not_to_have_count(0)
    expect(page.locator("#weigh")).to_be_hidden()
    page.locator("#words").focus()
    page.keyboard.insert_text("moss")
    says(page, "like the picture and “moss”")
    expect(page.locator("#weigh")).to_be_visible()
    page.locator("#picture").click()
    says(page, "for “moss”")


def test_the_space_is_switched(page, published):
    older, newer = (files.name for files in published[0])
    search(page, "indigo")
    expect(page.locator("#status")).to_have_text(re.compile(f"{newer}$"))
    page.locator("#space").select_option(older)
    expect(page.locator("#status")).to_have_text(re.compile(f"{older}$"))


def test_what_goes_wrong_is_said(page, problems):
    with page.expect_console_message(lambda message: "404" in message.text):  # Chromium logs every 404
        page.evaluate("location.hash = 'pin=nobody'")
    says(page, "has no Pin")
    expect(page.locator("#grid li")).to_have_count(0)
    assert [problem for problem in problems if "404" not in problem] == []
    problems.clear()


def test_titles_are_text(page, service):
    title = "<img src=x onerror=alert(1)>"
    service.post("/v1/pins", {"pins": [{"pin_id": title, "title": title}]})
    search(page, title)
    expect(page.locator("#grid a .title").first).not_to_be_empty()
    expect(page.locator("#grid img[src=x]")).to_have_count(0)


def test_on_a_phone_nothing_sticks_out(page, screenshots):
    page.set_viewport_size(PHONE)
    search(page, "mustard")
    page.wait_for_function(SHOWN)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    outside = page.locator("header *, #grid a").evaluate_all(
        "all => all.filter(e => e.getBoundingClientRect().right > 391).length"
    )
    assert outside == 0
    assert page.get_by_role("button", name="Search", exact=True).bounding_box()["height"] >= 36
    page.screenshot(path=screenshots / "phone.png")


def test_nothing_comes_from_elsewhere(page):
    search(page, TITLES[0])
    sources = page.evaluate("performance.getEntriesByType('resource').map(r => new URL(r.name).origin)")
    assert set(sources) == {page.evaluate("location.origin")}
