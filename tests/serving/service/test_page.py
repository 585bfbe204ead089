"""The page in a real browser; what it looked like stays in .pytest_cache/screenshots, or in PINCLIP_SCREENSHOTS."""

import base64
from pathlib import Path

import pytest
from browser import Browser
from PIL import Image
from served_pins import TITLES, drawn

pytestmark = pytest.mark.timeout(900)
COUNT = "document.querySelectorAll('#grid li').length"
SAYS = "document.querySelector('#status').textContent"
SHOWN = (  # of the pictures that can be seen: the others are loaded when they come near
    "[...document.querySelectorAll('#grid img')]"
    ".filter(i => i.getBoundingClientRect().top < innerHeight).every(i => i.complete)"
)
FIRST = "document.querySelector('#grid a')"
ENTER, DOWN, RIGHT = ("Enter", 13), ("ArrowDown", 40), ("ArrowRight", 39)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture
def page(browser, service):
    browser.problems.clear()
    browser.size(1280, 860)
    browser.open("about:blank")
    browser.open(f"{service.address}/")
    browser.wait("document.querySelector('#space').options.length == 2")
    yield browser
    browser.evaluate("0")  # whatever the page has logged by now arrives
    assert browser.problems == []


def search(page: Browser, text: str) -> None:
    page.evaluate("document.querySelector('#words').select()")
    page.evaluate("document.querySelector('#words').focus()")
    page.write(text)
    page.wait(f"{SAYS}.includes('for “{text}”') && {COUNT}")


def colours(file: Path) -> int:
    with Image.open(file) as picture:
        return len(picture.convert("RGB").resize((320, 200)).quantize(64).getcolors())


def test_words_find_pins_in_the_order_of_the_service(page, service, screenshots):
    search(page, "coral circle")
    page.wait(SHOWN)
    asked = {"text": "coral circle", "k": 60}
    expected = [one["pin_id"] for one in service.post("/v1/search", asked).json()["results"]]
    shown = page.evaluate(
        "[...document.querySelectorAll('#grid a')].map(a => new URLSearchParams(a.hash.slice(1)).get('pin'))"
    )
    assert shown == expected
    assert colours(page.screenshot(screenshots / "words.png")) > 20  # Pins, not an empty page


def test_keys_reach_everything(page, screenshots):
    search(page, "teal")
    page.press(*DOWN)
    page.press(*RIGHT)
    second = "document.querySelectorAll('#grid a')[1]"
    assert page.evaluate(f"document.activeElement === {second}")
    title = page.evaluate(f"{second}.title")
    page.press(*ENTER)
    page.wait(f"{SAYS}.includes('like this one')")
    assert page.evaluate("document.querySelector('#about h2').textContent") == title
    page.wait(SHOWN)
    page.screenshot(screenshots / "related.png")
    page.evaluate("history.back()")
    page.wait(f"{SAYS}.includes('for “teal”')")


def test_a_picture_that_is_dropped_finds_its_like(page):
    picture = base64.b64encode(drawn(4)).decode()
    page.evaluate(f"""(() => {{
        const bytes = Uint8Array.from(atob("{picture}"), (c) => c.charCodeAt(0));
        const data = new DataTransfer();
        data.items.add(new File([bytes], "pin.png", {{ type: "image/png" }}));
        dispatchEvent(new DragEvent("drop", {{ dataTransfer: data, cancelable: true }}));
    }})()""")
    page.wait(f"{SAYS}.includes('like the picture') && {COUNT}")
    search_with_both = "document.querySelector('#weigh').hidden"
    assert page.evaluate(search_with_both)
    page.evaluate("document.querySelector('#words').focus()")
    page.write("moss")
    page.wait(f"{SAYS}.includes('like the picture and “moss”') && !{search_with_both}")
    page.evaluate("document.querySelector('#picture').click()")
    page.wait(f"{SAYS}.includes('for “moss”')")


def test_the_space_is_switched(page, published):
    older, newer = (files.name for files in published[0])
    search(page, "indigo")
    assert page.evaluate(SAYS).endswith(newer)
    page.evaluate(
        f"(s => {{ s.value = '{older}'; s.dispatchEvent(new Event('change')) }})(document.querySelector('#space'))"
    )
    page.wait(f"{SAYS}.endsWith('{older}')")


def test_what_goes_wrong_is_said(page):
    page.evaluate("location.hash = 'pin=nobody'")
    page.wait(f"{SAYS}.includes('has no Pin')")
    assert page.evaluate(COUNT) == 0
    assert [problem for problem in page.problems if "404" not in problem] == []
    page.problems.clear()  # Chromium logs every 404


def test_titles_are_text(page, service):
    title = "<img src=x onerror=alert(1)>"
    service.post("/v1/pins", {"pins": [{"pin_id": title, "title": title}]})
    search(page, title)
    page.wait(f"{FIRST}.querySelector('.title').textContent")
    assert page.evaluate("document.querySelectorAll('#grid img[src=x]').length") == 0


def test_on_a_phone_nothing_sticks_out(page, screenshots):
    page.size(390, 844)
    search(page, "mustard")
    page.wait(SHOWN)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    outside = (
        "[...document.querySelectorAll('header *, #grid a')].filter(e => e.getBoundingClientRect().right > 391).length"
    )
    assert page.evaluate(outside) == 0
    assert page.evaluate("document.querySelector('[type=submit]').getBoundingClientRect().height") >= 36
    page.screenshot(screenshots / "phone.png")


def test_nothing_comes_from_elsewhere(page):
    search(page, TITLES[0])
    sources = page.evaluate("performance.getEntriesByType('resource').map(r => new URL(r.name).origin)")
    assert set(sources) == {page.evaluate("location.origin")}
