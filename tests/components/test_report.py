"""The report over a made-up run (conftest.py): what it says, what it must not do, and the parts it is made of."""

import csv
import io
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from components.configuration import load
from components.report import gallery, loss_curves, tables
from components.report.rendering import render_report
from model.errors import RunError

PINS = 60
HOSTILE = "<script>alert('hi')</script>"


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def changed(path: Path, **values) -> None:
    """Sets top-level keys of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def with_finding(validation: dict, says: str, observed: str) -> dict:
    """The validation with one more hard expectation that does not hold."""
    finding = validation["expectations"][0] | {"says": says, "observed": observed, "success": False}
    failures = [f"{says}, but {observed}; fix it."]
    return validation | {"success": False, "failures": failures, "expectations": [*validation["expectations"], finding]}


class Page(HTMLParser):
    """Tags, addresses and visible text of a page, and whether every tag that must be closed is closed."""

    VOID = frozenset({"meta", "img", "br", "path", "use"})

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "xlink:href", "data", "action")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += " ".join(data.split()) + " "


def test_the_page_is_whole_and_fetches_nothing(run):
    path = render_report(**run)
    page, source = Page(path), path.read_text(encoding="utf-8")
    assert path == run["out"] / "report.html"
    assert all(address.startswith(("data:image/webp;base64,", "#")) for address in page.addresses)
    assert not re.search(r"https?:|@import|url\((?!#)", source)
    assert source.startswith("<!doctype html>")
    for title in (
        "Recall",
        "Losses",
        "Retrieved",
        "Neighbours",
        "Slices",
        "Quantization",
        "Validation",
        "Seconds",
        "Config",
    ):
        assert title in page.text


def test_the_files_beside_it(run):
    render_report(**run)
    losses = (f"loss_{loss}" for loss in ("image_text", "loss", "neighbour", "text_fused"))
    charts = (*losses, "codes_fresh", "slices_palette", "slices_region")
    expected = sorted(f"{chart}.{kind}" for chart in charts for kind in ("png", "svg"))
    assert sorted(path.name for path in (run["out"] / "plots").iterdir()) == expected
    rows = list(csv.DictReader((run["out"] / "curves/baseline_clip.csv").open()))
    assert [row["step"] for row in rows[:2]] == ["0", "8"]
    assert rows[0]["neighbour"] == ""
    assert sorted(path.name for path in run["out"].iterdir()) == ["curves", "plots", "report.html"]


def test_the_same_run_gives_the_same_page(run):
    first = render_report(**run).read_bytes()
    assert render_report(**run).read_bytes() == first


def test_texts_of_users_stay_texts(run):
    run["validation"] = with_finding(run["validation"], "Titles are plain", f"one is {HOSTILE}")
    page = Page(render_report(**run))
    assert "script" not in page.tags
    assert page.text.count(HOSTILE) >= 3  # a query, a result, a finding


def test_the_headline_and_the_tables_say_what_was_measured(run):
    text = Page(render_report(**run)).text
    assert "Related Pins on fresh Pins: recall@10 of 0.371" in text
    assert "+50.0 %" in text
    assert "▼ −12.5 %" in text  # Search on fresh Pins, 0.315 against 0.36
    assert "5,734,912" in text
    assert f"77 instead of {load().train.epochs}" in text


def test_the_gate_says_what_was_not_reached(run):
    text = Page(render_report(**run | {"config": load("demo", ["gate.min_fresh_search=0.5"])})).text
    assert "Gate: not passed" in text
    assert "Search recall@10 on fresh Pins is 0.315, below the floor of 0.500." in text


def test_the_champion_stands_beside_the_version(run):
    text = Page(render_report(**run)).text
    assert "Against the champion, version 3 · recall@10, fresh Pins; intervals: 95 %" in text
    assert "Search 0.315 0.305 +0.010 +0.008 to +0.012 90" in text
    assert "PinText, text → image 0.540 0.546 −0.006 −0.008 to −0.004 90" in text
    assert "Compared with the champion, version 3, which was trained on none of these fresh Pins." in text


def test_without_a_champion_there_is_no_table(run):
    changed(run["comparison"], champion=None, tasks={})
    text = Page(render_report(**run)).text
    assert "Against the champion" not in text
    assert "No version holds the alias champion: nothing was compared." in text


def test_what_was_not_measured_is_no_zero(run):
    measured = json.loads((run["evaluation"] / "metrics.json").read_text())
    for group in (measured, measured["fresh"], measured["baseline_clip"], measured["baseline_clip"]["fresh"]):
        group["related_pins"] = None
        del group["search"]
    measured["catalogue"] |= {"boards": 0, "edges": 0}
    measured["quantization"]["retention"] = {"image_to_text": math.nan}
    measured["slices"] = {"largest": None}
    changed(run["evaluation"] / "slices.json", scopes={"all": {}, "fresh": {}}, largest=None)
    changed(run["evaluation"] / "quantization_study.json", codes=[], targets=[])
    (run["evaluation"] / "metrics.json").write_text(json.dumps(measured))
    (run["evaluation"] / "examples.json").write_text("{}")
    empty = pq.read_schema(run["neighbours"] / "neighbours.parquet").empty_table()
    pq.write_table(empty, run["neighbours"] / "neighbours.parquet")
    text = Page(render_report(**run)).text
    assert "not measured: no boards" in text
    assert "not measured: no queries" in text
    assert "PinText, image → text on fresh Pins" in text
    assert "0.000" not in text
    assert "nan" not in text


def test_a_run_that_measured_nothing_still_has_a_report(run):
    nothing = dict.fromkeys(("pintext", "related_pins", "search", "fresh", "baseline_clip"))
    changed(run["evaluation"] / "metrics.json", **nothing)
    run["curves"].write_text("")
    run["baseline_curves"].write_text("")
    text = Page(render_report(**run | {"timing_s": {}})).text
    assert "Nothing could be measured" in text
    assert "No step was logged" in text


def test_what_was_refused_is_counted_by_reason(run):
    text = Page(render_report(**run)).text
    assert "boards: board too small left out 3,322" in text
    assert "pins 66 60 4 2" in text


def test_expectations_are_counted_and_those_that_do_not_hold_are_told(run):
    text = Page(render_report(**run)).text
    assert "Passed : 1 of 2 expectations hold" in text
    assert "Soft: Most Pins have a text, but 12 % have none; map a text column" in text
    run["validation"] = with_finding(run["validation"], "Images open", "3 do not")
    text = Page(render_report(**run)).text
    assert "Failed : 1 of 3 expectations hold" in text
    assert "Hard: Images open, but 3 do not" in text


def test_a_registered_version_is_named(run):
    assert "Model version" not in Page(render_report(**run)).text
    assert "Model version 7" in Page(render_report(**run, version=7)).text


def test_the_largest_gap_is_named_and_slices_are_drawn(run):
    path = render_report(**run)
    text = Page(path).text
    assert "on fresh Pins, Search recall@10 of region = far $1$ is 0.100 (0.050 to 0.150, 31 queries)" in text
    assert "surely 62.5 % less" in text
    drawn = (run["out"] / "plots/slices_region.svg").read_text()
    assert "far $1$" in drawn  # no mathematics
    assert "<script>" not in drawn
    assert "up to 3 slices of few queries are merged or left out" in text


def test_a_catalogue_without_slices_says_so(run):
    tasks = {"search": {"recall@10": 0.4, "queries": 9, "columns": {}}}
    changed(run["evaluation"] / "slices.json", scopes={"all": tasks, "fresh": tasks}, largest=None)
    assert "Not measured: the catalogue has no slice columns" in Page(render_report(**run)).text
    assert not list((run["out"] / "plots").glob("slices*"))


def test_codes_are_drawn_and_promises_judged(run):
    page = render_report(**run)
    text, source = Page(page).text, page.read_text()
    assert "0 of 1 met, 1 missed" in text
    assert "int4 · Search fresh 94.0 % 92.0 % to 96.0 % 98.0 % missed" in text
    assert "4 bits, rotated, 64 bytes: Related Pins 0.368" in source  # for who does not see the picture
    assert "each line goes through the prefixes 128, 256" in text


@pytest.mark.parametrize(
    "missing",
    ["evaluation/slices.json", "evaluation/metrics.json", "comparison.json", "curves.jsonl", "prepared/summary.json"],
)
def test_a_missing_file_is_named(run, missing):
    path = run["evaluation"].parent / missing
    path.unlink()
    with pytest.raises(RunError, match=re.escape(str(path))):
        render_report(**run)


def test_pictures_that_hardly_compress_stay_small_enough(run, catalogue_of):
    noise = np.random.default_rng(0)
    run["catalogue"] = catalogue_of([png(noise.integers(0, 256, (96, 96, 3), np.uint8)) for _ in range(PINS)])
    assert render_report(**run).stat().st_size < 3_000_000


def test_gain_is_relative_and_needs_a_divisor():
    assert tables.Metric("recall@10", 0.6, 0.4).gain == pytest.approx(0.5)
    assert tables.Metric("recall@10", 0.6, 0.0).gain is None
    assert tables.Metric("recall@10", 0.6, None).gain is None


def test_neighbours_are_the_heaviest_of_pins_drawn_by_the_seed(run):
    pin_ids = run["catalogue"].read("pins", ["pin_id"])["pin_id"]
    sample = gallery.sample_neighbours(run["neighbours"], pin_ids, seed=1)
    assert len(sample) == gallery.STARTS
    start, pairs = next(iter(sample.items()))
    row = int(start.removeprefix("pin-"))
    assert [pin_id for pin_id, _ in pairs[:3]] == [f"pin-{(row + 15 * k) % PINS:03d}" for k in (1, 2, 3)]
    assert [weight for _, weight in pairs] == sorted((weight for _, weight in pairs), reverse=True)
    assert sample == gallery.sample_neighbours(run["neighbours"], pin_ids, seed=1)
    assert sample != gallery.sample_neighbours(run["neighbours"], pin_ids, seed=2)


def test_a_picture_that_does_not_open_or_is_not_there_is_none(catalogue_of):
    catalogue = catalogue_of([png(np.zeros((40, 30, 3), np.uint8)), b"no image"])
    found = gallery.pictures(catalogue, ["pin-000", "pin-001", "elsewhere"], load().prepare)
    assert found["pin-000"].text == "coral circle"
    assert found["pin-000"].uri.startswith("data:image/webp;base64,")
    assert (found["pin-001"].uri, found["elsewhere"].uri) == (None, None)


def test_a_chart_takes_the_colours_and_the_typeface_of_the_page(tmp_path):
    charts = loss_curves.loss_charts([{"step": 0, "image_text": 1.0}, {"step": 9, "image_text": 0.5}], [], tmp_path)
    assert [chart.title for chart in charts] == ["Image – text"]
    assert "var(--ours)" in charts[0].svg
    assert "font-family" not in charts[0].svg
    assert charts[0].summary == "Image – text: PinCLIP from 1.000 to 0.500."
    assert "var(" not in (tmp_path / "loss_image_text.svg").read_text()
