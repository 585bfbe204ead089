"""The page in a real browser, on a desktop and on a phone.

What it looked like stays in .pytest_cache/screenshots, or in PINCLIP_SCREENSHOTS.
"""

import base64
import io
import json
from pathlib import Path
from urllib.parse import urlencode

import pytest
from browser import chromium, phone_of
from PIL import Image
from playwright.sync_api import Page, expect
from served_pins import TITLES, drawn

pytestmark = pytest.mark.timeout(900)
SHOWN = (  # of the pictures that can be seen: the others are loaded when they come near
    "() => [...document.querySelectorAll('#grid img, #about img, #chosen img')]"
    ".filter(i => i.getBoundingClientRect().top < innerHeight).every(i => i.complete)"
)
PINS = "links => links.map(a => new URLSearchParams(a.hash.slice(1)).get('pin'))"
SHIFTS = """() => new Promise((done) => {  // what moved without anybody having touched anything
    const moved = [];
    const look = (list) => moved.push(...list.getEntries().filter((one) => !one.hadRecentInput));
    new PerformanceObserver(look).observe({ type: "layout-shift", buffered: true });
    setTimeout(() => done(moved.flatMap((one) => one.sources.map(({ node }) => node?.outerHTML ?? "gone"))), 100);
})"""
LINES = """title => {
    title.textContent = "a long title ".repeat(20);
    return title.clientHeight / parseFloat(getComputedStyle(title).lineHeight);
}"""


@pytest.fixture(scope="module")
def opened():
    """(a page of the desktop's size, one of a phone, what either logs as an error)"""
    expect.set_options(timeout=60_000)
    with chromium() as (desktop, problems):
        yield desktop, phone_of(desktop, problems), problems


@pytest.fixture
def problems(opened):
    problems = opened[2]
    problems.clear()
    return problems


@pytest.fixture
def page(opened, service, problems):
    yield from started(opened[0], service, problems)


@pytest.fixture
def phone(opened, service, problems):
    yield from started(opened[1], service, problems)


@pytest.fixture(scope="module")
def photo() -> bytes:
    """JPEG of 12 million pixels and several megabytes, as a phone held upright takes it: turned by its EXIF."""
    picture = Image.effect_noise((4032, 3024), 15).convert("RGB")
    turned, file = Image.Exif(), io.BytesIO()
    turned[0x0112] = 6
    picture.save(file, "JPEG", quality=95, exif=turned)
    return file.getvalue()


def started(page: Page, service, problems: list[str]):
    visit(page, service)
    says(page, "From the catalogue")
    yield page
    page.evaluate("0")  # whatever the page has logged by now arrives
    assert problems == []


def visit(page: Page, service, **view) -> None:
    """As whoever is sent the address."""
    page.goto("about:blank")
    page.goto(f"{service.address}/#{urlencode(view, doseq=True)}")


def says(page: Page, text: str) -> None:
    expect(page.locator("#status")).to_contain_text(text)


def search(page: Page, text: str) -> None:
    page.locator("#words").select_text()
    page.locator("#words").focus()
    page.keyboard.insert_text(text)
    says(page, f"for “{text}”")
    expect(page.locator("#grid li")).not_to_have_count(0)


def shown(page: Page) -> list[str]:
    return page.locator("#grid a").evaluate_all(PINS)


def basket(page: Page) -> list[str]:
    return page.evaluate("new URLSearchParams(location.hash.slice(1)).getAll('basket')")


def kept(page: Page, file: Path) -> None:
    page.wait_for_function(SHOWN)
    page.screenshot(path=file, animations="disabled")
    with Image.open(file) as picture:  # Pins, not an empty page
        assert len(picture.convert("RGB").resize((320, 200)).quantize(64).getcolors()) > 20


def chosen_pins(service, path: str, asked: dict) -> list[str]:
    return [one["pin_id"] for one in service.post(path, asked | {"k": 60}).json()["results"]]


def test_the_start_shows_pins_and_queries(page, screenshots):
    expect(page.locator("#grid li")).to_have_count(24)
    expect(page.locator("#queries a")).to_have_text(["circle", "square", "triangle"])  # the most clicked first
    expect(page.locator("#filters")).to_be_hidden()
    kept(page, screenshots / "start.png")
    assert page.evaluate(SHIFTS) == []
    page.locator("#queries a").nth(1).click()
    says(page, "for “square”")
    expect(page.locator("#words")).to_have_value("square")
    expect(page).to_have_title("square · pinclip")
    page.get_by_role("link", name="pinclip").click()
    says(page, "From the catalogue")


def test_a_finger_where_there_was_a_mouse_moves_nothing(page):
    pointers = page.context.new_cdp_session(page)
    pointers.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    expect(page.get_by_title("Take a photo")).to_be_visible()
    assert page.evaluate(SHIFTS) == []
    pointers.send("Emulation.setTouchEmulationEnabled", {"enabled": False})
    expect(page.get_by_title("Take a photo")).to_be_hidden()
    assert page.evaluate(SHIFTS) == []


def test_words_find_pins_in_the_order_of_the_service(page, service, screenshots):
    search(page, "coral circle")
    assert shown(page) == chosen_pins(service, "/v1/search", {"text": "coral circle"})
    kept(page, screenshots / "words.png")


def test_a_link_that_was_sent_fills_the_box(page, service):
    visit(page, service, q="teal circle")
    says(page, "60 Pins for “teal circle”, nearest first")
    expect(page.locator("#words")).to_be_focused()
    expect(page.locator("#words")).to_have_value("teal circle")
    assert page.evaluate(SHIFTS) == []


def test_a_link_to_a_pin_has_its_title_for_a_headline(page, service, screenshots):
    visit(page, service, pin="pin-7")
    says(page, "Pins like this one, nearest first")
    expect(page.locator("#heading")).to_have_text(TITLES[7])
    expect(page.locator("#note")).to_have_text("pin-7")
    kept(page, screenshots / "related.png")
    assert page.evaluate(SHIFTS) == []
    page.emulate_media(color_scheme="dark")
    kept(page, screenshots / "related-dark.png")
    page.emulate_media(color_scheme="light")


def test_titles_have_two_lines_and_are_whole_for_those_who_ask(page):
    search(page, "indigo")
    tile = page.locator("#grid a").first
    assert tile.get_attribute("title") == tile.locator(".title").text_content()
    assert round(tile.locator(".title").evaluate(LINES), 1) == 2


def test_keys_reach_everything(page):
    search(page, "teal")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    second = page.locator("#grid a").nth(1)
    expect(second).to_be_focused()
    title = second.get_attribute("title")
    page.keyboard.press("Enter")
    says(page, "like this one")
    expect(page.locator("#heading")).to_have_text(title)
    expect(page.locator("#heading")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#count")).to_have_text("1 in the basket")
    page.go_back()
    says(page, "for “teal”")
    expect(second).to_be_focused()


def test_back_leads_to_where_one_was(page):
    search(page, "mustard")
    tile = page.locator("#grid a").nth(40)
    tile.scroll_into_view_if_needed()
    before = page.evaluate("scrollY")
    tile.click()
    says(page, "like this one")
    assert (before > 0, page.evaluate("scrollY")) == (True, 0)
    page.go_back()
    says(page, "for “mustard”")
    page.wait_for_function("y => scrollY === y", arg=before)


def test_filters(page, service, screenshots):
    search(page, "circle")
    page.get_by_role("button", name="colour").click()
    page.get_by_label("coral", exact=True).check()
    says(page, "12 Pins for “circle”, with colour coral, nearest first")
    page.get_by_label("teal", exact=True).check()
    says(page, "24 Pins for “circle”, with colour coral or teal, nearest first")
    kept(page, screenshots / "filter.png")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="price").click()
    page.get_by_label("from", exact=True).fill("10")
    page.get_by_label("to", exact=True).fill("29")
    page.get_by_role("button", name="Done").click()
    says(page, "8 Pins for “circle”, with colour coral or teal, price 10 to 29, nearest first")
    wanted = {"colour": ["coral", "teal"], "price": {"min": 10, "max": 29}}
    assert json.loads(page.evaluate("new URLSearchParams(location.hash.slice(1)).get('filter')")) == wanted
    assert shown(page) == chosen_pins(service, "/v1/search", {"text": "circle", "filter": wanted})
    kept(page, screenshots / "filtered.png")
    page.get_by_role("button", name="Remove the filter colour").click()
    says(page, "20 Pins for “circle”, with price 10 to 29")
    page.get_by_role("button", name="Clear filters").click()
    says(page, "60 Pins for “circle”, nearest first")


def test_a_filter_that_finds_nothing_or_is_wrong_can_be_taken_away(page, service, problems):
    visit(page, service, pin="pin-0", filter='{"price": {"min": 1000}}')
    says(page, "No Pins like this one, with price from 1000")
    page.get_by_role("button", name="Remove the filter price").click()
    says(page, "Pins like this one, nearest first")
    visit(page, service, q="moss", filter='{"weight": 3}')
    says(page, "'weight' is no column")
    page.get_by_role("button", name="Clear filters").click()
    says(page, "60 Pins for “moss”")
    assert all("422" in problem for problem in problems)  # as Chromium logs the refusal
    problems.clear()


def test_a_basket_is_completed_and_can_be_sent(page, service, problems, screenshots):
    search(page, "moss")
    pins = shown(page)[:3]
    for place in range(3):
        page.locator("#grid .add").nth(place).click()
    expect(page.locator("#chosen li")).to_have_count(3)
    assert basket(page) == pins
    page.locator("#grid .add").nth(1).click()
    assert basket(page) == [pins[0], pins[2]]
    kept(page, screenshots / "basket.png")
    page.get_by_role("link", name="Complete the look").click()
    says(page, "Pins to go with your basket, best first")
    expect(page.locator("#heading")).to_be_focused()
    assert shown(page) == chosen_pins(service, "/v1/complete", {"pins": basket(page)})
    kept(page, screenshots / "look.png")

    visit(page, service, look=1, basket=[pins[0], "nobody"])
    says(page, "Pins to go with your basket, best first; this space does not have nobody")
    first = page.locator("#grid a").first
    added = first.get_attribute("title")
    page.locator("#grid .add").first.press("Enter")
    expect(first).not_to_have_attribute("title", added)
    expect(page.locator("#grid .add").first).to_be_focused()  # of the Pin that is shown in its place
    page.get_by_role("button", name="Take nobody out of the basket").click()
    expect(page.locator("#chosen li")).to_have_count(2)
    page.get_by_role("button", name="Clear", exact=True).click()
    says(page, "From the catalogue")
    expect(page.locator("#basket")).to_be_hidden()
    assert all("404" in problem for problem in problems)  # Chromium logs nobody's picture
    problems.clear()


def test_going_back_keeps_the_basket(page):
    search(page, "indigo")
    page.locator("#grid a").first.click()
    says(page, "like this one")
    page.locator("#add").click()
    pin = basket(page)
    assert len(pin) == 1
    page.go_back()
    says(page, "for “indigo”")
    assert basket(page) == pin
    expect(page.locator("#grid .add").first).to_have_class("add in")


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
    page.go_back()
    says(page, "like the picture and “moss”")


def test_a_picture_has_the_words_of_the_catalogue(page, service, problems, screenshots):
    page.locator("#gallery").set_input_files([{"name": "pin.png", "mimeType": "image/png", "buffer": drawn(4)}])
    says(page, "like the picture")
    asked = {"image": base64.b64encode(drawn(4)).decode()}
    tags = service.post("/v1/tags", asked).json()["tags"]
    chips = page.locator("#tags a")
    expect(chips).to_have_text([one["tag"] for one in tags])
    kept(page, screenshots / "tags.png")
    words = next(one["tag"] for one in tags if one["kind"] == "query")
    colour = next(one["tag"] for one in tags if one["column"] == "colour")
    chips.get_by_text(colour, exact=True).click()
    says(page, f"like the picture, with colour {colour}")
    expect(chips).to_have_count(len(tags))
    chips.get_by_text(words, exact=True).click()
    says(page, f"for “{words}”, with colour {colour}")
    expect(page.locator("#tags")).to_be_hidden()
    page.go_back()
    says(page, f"like the picture, with colour {colour}")
    expect(chips).to_have_count(len(tags))

    page.route("**/v1/tags?*", lambda route: route.fulfill(json={"tags": [], "why": "No word fits."}))
    page.locator("#gallery").set_input_files([{"name": "pin.png", "mimeType": "image/png", "buffer": drawn(5)}])
    expect(page.locator("#tags")).to_have_text("No word fits.")
    page.unroute("**/v1/tags?*")


def test_a_picture_in_a_link_is_asked_for(page, service):
    visit(page, service, picture="x4t")
    says(page, "choose it here again")


def test_the_space_is_switched(page, published):
    older, newer = (files.name for files in published[0])
    search(page, "indigo")
    with page.expect_response("**/v1/search?*") as answer:
        page.locator("#space").select_option(newer)
    assert answer.value.json()["space"] == newer
    with page.expect_response("**/v1/search?*") as answer:
        page.locator("#space").select_option(older)
    assert answer.value.json()["space"] == older


def test_what_goes_wrong_is_said(page, service, problems):
    visit(page, service, pin="nobody")
    says(page, "has no Pin")
    expect(page.locator("#grid li")).to_have_count(0)
    expect(page.locator("#about")).to_be_hidden()
    assert all("404" in problem for problem in problems)  # as Chromium logs it
    problems.clear()


def test_titles_are_text(page, service):
    title = "<img src=x onerror=alert(1)>"
    service.post("/v1/pins", {"pins": [{"pin_id": title, "title": title}]})
    search(page, title)
    page.locator("#grid .add").first.click()
    expect(page.locator("#grid a .title").first).not_to_be_empty()
    expect(page.locator("img[src=x]")).to_have_count(0)


def test_the_token_is_asked_for_once(page, service, problems):
    """The service's own refusal is tested in test_guard.py; here a request without a token comes as far as Chromium."""

    def guarded(route):
        if route.request.headers.get("authorization") == "Bearer told":
            route.continue_()
        else:
            route.fulfill(status=401, json={"error": "Send the service's token."})

    page.route("**/v1/**", guarded)
    visit(page, service)
    page.get_by_label("This service asks for its token").fill("told")
    page.keyboard.press("Enter")
    says(page, "From the catalogue")
    page.wait_for_function("() => document.querySelector('#grid img').naturalWidth === 96")
    assert page.locator("#grid img").first.get_attribute("src").startswith("blob:")
    page.unroute("**/v1/**")
    page.evaluate("sessionStorage.clear()")
    assert all("401" in problem for problem in problems)
    problems.clear()


def test_on_a_phone_nothing_sticks_out_and_all_can_be_touched(phone, screenshots):
    kept(phone, screenshots / "phone-start.png")
    assert phone.evaluate(SHIFTS) == []
    phone.locator("#queries a").first.tap()
    says(phone, "for “circle”")
    kept(phone, screenshots / "phone-words.png")
    phone.locator("#grid .add").nth(1).tap()
    phone.locator("#grid .add").nth(2).tap()
    expect(phone.locator("#chosen li")).to_have_count(2)
    kept(phone, screenshots / "phone-basket.png")
    assert phone.evaluate("document.documentElement.scrollWidth") == 390
    outside = phone.locator("header *, #grid *, #basket *").evaluate_all(
        "all => all.filter(e => e.getBoundingClientRect().right > 391).length"
    )
    assert outside == 0
    low = phone.locator("button:visible, .choose:visible, #complete").evaluate_all(
        "all => all.filter(e => e.getBoundingClientRect().height < 44).map(e => e.outerHTML)"
    )
    assert low == []
    phone.locator("#grid a").first.tap()
    says(phone, "like this one")
    kept(phone, screenshots / "phone-related.png")


def test_on_a_phone_a_filter_is_a_sheet(phone, screenshots):
    phone.locator("#queries a").first.tap()
    phone.get_by_role("button", name="colour").tap()
    phone.get_by_label("indigo", exact=True).tap()
    says(phone, "12 Pins for “circle”, with colour indigo")
    sheet = phone.locator(".panel:popover-open").bounding_box()
    assert (sheet["x"], sheet["width"], sheet["y"] + sheet["height"]) == (0, 390, 844)
    kept(phone, screenshots / "phone-filter.png")
    phone.get_by_role("button", name="Done").tap()
    expect(phone.locator(".panel:popover-open")).to_have_count(0)


@pytest.mark.parametrize("label", ["Take a photo", "Choose a picture"])
def test_a_phone_gives_a_large_photo(phone, label, photo, screenshots):
    assert len(photo) > 4_000_000  # too long on its way from a phone, and larger than this service takes
    with phone.expect_file_chooser() as chooser:
        phone.get_by_label(label).tap()
    with phone.expect_request("**/v1/search?*") as sent:
        chooser.value.set_files([{"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": photo}])
    says(phone, "like the picture")
    with Image.open(io.BytesIO(base64.b64decode(sent.value.post_data_json["image"]))) as picture:
        assert picture.size == (768, 1024)  # upright
    expect(phone.locator("#tags li")).not_to_have_count(0)
    kept(phone, screenshots / "phone-picture.png")


def test_what_the_phone_cannot_read_is_one_sentence(phone):
    heic = {"name": "IMG_1.HEIC", "mimeType": "image/heic", "buffer": b"\0\0\0\x18ftypheic" + bytes(100)}
    phone.locator("#gallery").set_input_files([heic])
    says(phone, "“IMG_1.HEIC” is no picture that this browser can read; choose a JPEG, PNG or WebP.")
    expect(phone.locator("#grid li")).to_have_count(0)  # nothing below it looks like an answer
    phone.get_by_role("link", name="pinclip").tap()
    says(phone, "From the catalogue")
    expect(phone.locator("#grid li")).to_have_count(24)


def test_nothing_comes_from_elsewhere(page):
    search(page, TITLES[0])
    sources = page.evaluate("performance.getEntriesByType('resource').map(r => new URL(r.name).origin)")
    assert set(sources) == {page.evaluate("location.origin")}
