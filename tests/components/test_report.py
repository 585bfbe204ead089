"""The report over a made-up run: real shards with drawn images, and texts from users who mean harm."""

import csv
import io
import json
import math
import random
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageDraw

from components.report import gallery, plots, tables
from components.report.rendering import render
from model.catalogue import Catalogue, CatalogueWriter
from model.config import load
from model.errors import RunError
from validation.report import Finding, Report

PINS = 60
COLOURS = {"coral": "#e2725b", "teal": "#2a8f8a", "indigo": "#4b4fa8", "mustard": "#d9a62e", "moss": "#6f8f46"}
SHAPES = ("circle", "square", "triangle")
HOSTILE = "<script>alert('hi')</script>"


def drawn(index: int) -> bytes:
    """A shape on a pale ground, 64 x 48 pixels: a picture whose title can be checked by looking."""
    draw_on = Image.new("RGB", (64, 48), "#f4efe6")
    pencil, colour = ImageDraw.Draw(draw_on), list(COLOURS.values())[index % len(COLOURS)]
    box = (16 + index % 7, 8, 48 + index % 7, 40)
    if SHAPES[index % 3] == "circle":
        pencil.ellipse(box, fill=colour)
    elif SHAPES[index % 3] == "square":
        pencil.rectangle(box, fill=colour)
    else:
        pencil.polygon([(box[0], box[3]), (box[2], box[3]), (32, box[1])], fill=colour)
    return encoded(draw_on)


def encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def write_catalogue(root: Path, images: list[bytes]) -> Catalogue:
    titles = [f"{list(COLOURS)[i % len(COLOURS)]} {SHAPES[i % 3]}" for i in range(len(images))]
    titles[1] = HOSTILE
    with CatalogueWriter(root, rows_per_shard=32) as writer:
        ids = [f"pin-{i:03d}" for i in range(len(images))]
        writer.write("pins", pa.table({"pin_id": ids, "image": images, "title": titles}))
    return Catalogue(root)


def write_curves(path: Path, baseline: bool) -> None:
    noise, lines = random.Random(baseline), []
    for step in range(0, 400, 8):
        image_text = 0.4 + 2.2 * math.exp(-step / 120) + noise.uniform(-0.05, 0.05)
        other = None if baseline else 0.6 + 1.8 * math.exp(-step / 90) + noise.uniform(-0.05, 0.05)
        line = {"step": step, "epoch": step // 100, "image_text": image_text, "neighbour": other, "text_fused": other}
        line |= {"loss": image_text + 2 * (other or 0), "images_per_s": 800.0}
        lines.append(json.dumps(line))
    path.write_text("\n".join(lines) + "\n")


def groups(scale: float) -> dict:
    return {
        "pintext": {
            "image_to_text": {"recall@1": 0.31 * scale, "recall@10": 0.62 * scale},
            "text_to_image": {"recall@1": 0.29 * scale, "recall@10": 0.6 * scale},
        },
        "related_pins": {"recall@10": 0.412 * scale, "ndcg@10": 0.377 * scale},
        "search": {"recall@10": 0.35 * scale},
    }


def metrics() -> dict:
    retention = {"image_to_text": 0.999, "text_to_image": 1.001, "related_pins": 0.997, "search": 0.994}
    quantization = {"bits": 8, "bytes_per_pin": 256, "scale": 0.0021437, "zero_point": -3, "retention": retention}
    return {
        **groups(1.0),
        "fresh": groups(0.9),
        "baseline_clip": {**groups(0.8), "fresh": groups(0.6) | {"search": {"recall@10": 0.36}}},
        "quantization": quantization,
        "model": {"version": None, "parameters": 5_734_912},
        "catalogue": {"pins": PINS, "boards": 1234, "edges": 56_789, "digest": "ab12" * 16},
    }


def examples() -> dict:
    def results(start: int) -> list[dict]:
        return [
            {"pin_id": f"pin-{(start + i * 5) % PINS:03d}", "score": 0.9 - i / 20, "hit": i % 4 < 2} for i in range(10)
        ]

    pins = [{"query": {"pin_id": f"pin-{i:03d}"}, "results": results(i), "relevant": 12} for i in range(8)]
    words = [
        {"query": {"text": t}, "results": results(i), "relevant": 1200}
        for i, t in enumerate(["teal circle", "قطة صغيرة", HOSTILE])
    ]
    texts = [HOSTILE, *(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES)]
    said = [{"text": text, "score": 0.9 - i / 20, "hit": i == 1} for i, text in enumerate(texts[:10])]
    images = [{"query": {"pin_id": f"pin-{i:03d}"}, "results": said, "relevant": 1} for i in range(3)]
    return {"related_pins": pins, "search": words, "image_to_text": images}


def summary() -> dict:
    refused = {"quarantined": {"truncated": 3, "duplicate pin_id": 1}, "dropped": {"no consent": 2}}
    return {
        "digest": "ab12" * 16,
        "pins": {"read": PINS + 6, "kept": PINS, **refused},
        "boards": {
            "read": 60_123,
            "kept": 56_789,
            "quarantined": {"unknown Pin": 12},
            "dropped": {"board too small": 3322},
        },
        "queries": {"read": 400, "kept": 400, "quarantined": {}, "dropped": {}},
    }


def finding(says: str, observed: str, kind: str, success: bool = True) -> Finding:
    return Finding("pins", "x", "texts", kind, success, "≥ 1", observed, says, "map a text column in the import spec")


def validated(*findings: Finding) -> dict:
    """validation.json."""
    whole = finding("Every Pin has an id", "all have", "hard")
    return Report([whole, finding("Most Pins have a text", "12 % have none", "soft", False), *findings]).to_dict()


@pytest.fixture
def run(tmp_path: Path) -> dict:
    """The arguments of render() for a made-up run."""
    for folder in ("evaluation", "neighbours"):
        (tmp_path / folder).mkdir()
    (tmp_path / "evaluation/metrics.json").write_text(json.dumps(metrics()))
    (tmp_path / "evaluation/examples.json").write_text(json.dumps(examples()))
    pairs = [(pin, (pin + 15 * k) % PINS, 0.3 / k) for pin in range(0, PINS, 2) for k in range(1, 12)]
    pin, neighbour, weight = zip(*pairs, strict=True)
    table = {"pin": pa.array(pin, pa.int32()), "neighbour": pa.array(neighbour, pa.int32())}
    pq.write_table(
        pa.table(table | {"weight": pa.array(weight, pa.float32())}), tmp_path / "neighbours/neighbours.parquet"
    )
    (tmp_path / "prepared").mkdir()
    (tmp_path / "prepared/summary.json").write_text(json.dumps(summary()))
    write_curves(tmp_path / "curves.jsonl", baseline=False)
    write_curves(tmp_path / "baseline.jsonl", baseline=True)
    return {
        "out": tmp_path / "run",
        "evaluation": tmp_path / "evaluation",
        "curves": tmp_path / "curves.jsonl",
        "baseline_curves": tmp_path / "baseline.jsonl",
        "catalogue": write_catalogue(tmp_path / "prepared/catalogue", [drawn(i) for i in range(PINS)]),
        "neighbours": tmp_path / "neighbours",
        "validation": validated(),
        "config": load("demo", ["train.epochs=3"]),
        "timing_s": {
            "prepare": 3.2,
            "validate": 9.8,
            "neighbours": 1.1,
            "train": 84.0,
            "train-baseline": 61.5,
            "embed": 9.0,
        },
    }


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
    path = render(**run)
    page, source = Page(path), path.read_text(encoding="utf-8")
    assert path == run["out"] / "report.html"
    assert all(address.startswith(("data:image/webp;base64,", "#")) for address in page.addresses)
    assert not re.search(r"https?:|@import|url\((?!#)", source)
    assert source.startswith("<!doctype html>")
    for title in ("Recall", "Losses", "Retrieved", "Neighbours", "Quantization", "Validation", "Seconds", "Config"):
        assert title in page.text


def test_the_files_beside_it(run):
    render(**run)
    losses = ("image_text", "loss", "neighbour", "text_fused")
    expected = sorted(f"loss_{loss}.{kind}" for loss in losses for kind in ("png", "svg"))
    assert sorted(path.name for path in (run["out"] / "plots").iterdir()) == expected
    rows = list(csv.DictReader((run["out"] / "curves/baseline_clip.csv").open()))
    assert [row["step"] for row in rows[:2]] == ["0", "8"]
    assert rows[0]["neighbour"] == ""
    assert sorted(path.name for path in run["out"].iterdir()) == ["curves", "plots", "report.html"]


def test_the_same_run_gives_the_same_page(run):
    first = render(**run).read_bytes()
    assert render(**run).read_bytes() == first


def test_texts_of_users_stay_texts(run):
    run["validation"] = validated(finding("Titles are plain", f"one is {HOSTILE}", "hard", False))
    page = Page(render(**run))
    assert "script" not in page.tags
    assert page.text.count(HOSTILE) >= 3  # a query, a result, a finding


def test_the_headline_and_the_tables_say_what_was_measured(run):
    text = Page(render(**run)).text
    assert "Related Pins on fresh Pins: recall@10 of 0.371" in text
    assert "+50.0 %" in text
    assert "▼ −12.5 %" in text  # Search on fresh Pins, 0.315 against 0.36
    assert "5,734,912" in text
    assert "instead of 10" in text  # train.epochs


def test_the_gate_says_what_was_not_reached(run):
    text = Page(render(**run | {"config": load("demo", ["gate.min_fresh_search=0.5"])})).text
    assert "Gate: not passed" in text
    assert "Search recall@10 on fresh Pins is 0.315, below the floor of 0.500." in text


def test_what_was_not_measured_is_no_zero(run):
    measured = metrics()
    for group in (measured, measured["fresh"], measured["baseline_clip"], measured["baseline_clip"]["fresh"]):
        group["related_pins"] = None
        del group["search"]
    measured["catalogue"] |= {"boards": 0, "edges": 0}
    measured["quantization"]["retention"] = {"image_to_text": math.nan}
    (run["evaluation"] / "metrics.json").write_text(json.dumps(measured))
    (run["evaluation"] / "examples.json").write_text("{}")
    empty = pq.read_schema(run["neighbours"] / "neighbours.parquet").empty_table()
    pq.write_table(empty, run["neighbours"] / "neighbours.parquet")
    text = Page(render(**run)).text
    assert "not measured: no boards" in text
    assert "not measured: no queries" in text
    assert "PinText, image → text on fresh Pins" in text
    assert "0.000" not in text
    assert "nan" not in text


def test_a_run_that_measured_nothing_still_has_a_report(run):
    nothing = {key: metrics()[key] for key in ("model", "catalogue")}
    (run["evaluation"] / "metrics.json").write_text(json.dumps(nothing))
    run["curves"].write_text("")
    run["baseline_curves"].write_text("")
    text = Page(render(**run | {"timing_s": {}})).text
    assert "Nothing could be measured" in text
    assert "No step was logged" in text


def test_what_was_refused_is_counted_by_reason(run):
    text = Page(render(**run)).text
    assert "boards: board too small left out 3,322" in text
    assert "pins 66 60 4 2" in text


def test_expectations_are_counted_and_those_that_do_not_hold_are_told(run):
    text = Page(render(**run)).text
    assert "Passed : 1 of 2 expectations hold" in text
    assert "Soft: Most Pins have a text, but 12 % have none; map a text column" in text
    run["validation"] = validated(finding("Images open", "3 do not", "hard", False))
    text = Page(render(**run)).text
    assert "Failed : 1 of 3 expectations hold" in text
    assert "Hard: Images open, but 3 do not" in text


def test_a_registered_version_is_named(run):
    assert "Model version" not in Page(render(**run)).text
    assert "Model version 7" in Page(render(**run, version=7)).text


@pytest.mark.parametrize("missing", ["evaluation/metrics.json", "curves.jsonl", "prepared/summary.json"])
def test_a_missing_file_is_named(run, missing):
    path = run["evaluation"].parent / missing
    path.unlink()
    with pytest.raises(RunError, match=re.escape(str(path))):
        render(**run)


def test_pictures_that_hardly_compress_stay_small_enough(run, tmp_path):
    noise = np.random.default_rng(0)
    images = [encoded(Image.fromarray(noise.integers(0, 256, (96, 96, 3), np.uint8))) for _ in range(PINS)]
    run["catalogue"] = write_catalogue(tmp_path / "prepared/noise", images)
    assert render(**run).stat().st_size < 3_000_000


def test_gain_is_relative_and_needs_a_divisor():
    assert tables.Measure("recall@10", 0.6, 0.4).gain == pytest.approx(0.5)
    assert tables.Measure("recall@10", 0.6, 0.0).gain is None
    assert tables.Measure("recall@10", 0.6, None).gain is None


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


def test_a_picture_that_does_not_open_or_is_not_there_is_none(tmp_path):
    catalogue = write_catalogue(tmp_path / "catalogue", [drawn(0), b"no image"])
    found = gallery.pictures(catalogue, ["pin-000", "pin-001", "elsewhere"], load().prepare)
    assert found["pin-000"].text == "coral circle"
    assert found["pin-000"].uri.startswith("data:image/webp;base64,")
    assert (found["pin-001"].uri, found["elsewhere"].uri) == (None, None)


def test_a_chart_takes_the_colours_and_the_typeface_of_the_page(tmp_path):
    charts = plots.loss_charts([{"step": 0, "image_text": 1.0}, {"step": 9, "image_text": 0.5}], [], tmp_path)
    assert [chart.title for chart in charts] == ["Image – text"]
    assert "var(--ours)" in charts[0].svg
    assert "font-family" not in charts[0].svg
    assert charts[0].summary == "Image – text: PinCLIP from 1.000 to 0.500."
    assert "var(" not in (tmp_path / "loss_image_text.svg").read_text()
