"""A made-up run for the report: real shards with drawn images, and texts from users who mean harm."""

import io
import json
import math
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageDraw

from components.configuration import load
from model.data.catalogue import Catalogue, CatalogueWriter
from model.embedding.codes import NAMES
from validation.report import Finding, ValidationReport

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
        "catalogue": {
            **{"pins": PINS, "fresh_pins": 12, "boards": 1234, "edges": 56_789, "queries": 321},
            "digest": "ab12" * 16,
        },
        "slices": {"largest": slices()["largest"]},
    }


TASKS = ("related_pins", "search")  # of slices and codes: every panel takes time to draw


def slices() -> dict:
    """slices.json: two columns, of which one has a slice named by someone who means harm."""

    def row(name: str, recall: float, queries: int) -> dict:
        gap, sure = round(1 - recall / 0.4, 5), max(0.0, round(1 - (recall + 0.05) / 0.4, 5))
        interval = {"low": round(recall - 0.05, 5), "high": round(recall + 0.05, 5)}
        return {"slice": name, "queries": queries, "recall@10": recall, **interval, "gap": gap, "sure_gap": sure}

    region = {"slices": [row("north", 0.5, 90), row(HOSTILE, 0.4, 60), row("far $1$", 0.1, 31)], "merged": 0}
    palette = {"slices": [row("light", 0.42, 100), row("others", 0.38, 81)], "merged": 3}
    columns = {"region": region | {"left_out_queries": 0}, "palette": palette | {"left_out_queries": 0}}
    tasks = {task: {"recall@10": 0.4, "queries": 181, "columns": columns} for task in TASKS}
    largest = {"scope": "fresh", "task": "search", "column": "region", "all": 0.4, **region["slices"][-1]}
    return {"intervals": "95 %", "least_queries": 30, "scopes": {"all": tasks, "fresh": tasks}, "largest": largest}


def study() -> dict:
    """quantization_study.json of fresh Pins: recall falls with every prefix and code."""
    codes = []
    for prefix in (256, 128):
        for number, name in enumerate(NAMES):
            kept = 1 - number / 50 - (256 - prefix) / 1280
            figures = {"queries": 100, "recall@10": round(0.4 * kept, 5), "retention": round(kept, 5)}
            figures |= {"interval": [round(kept - 0.02, 5), round(kept + 0.02, 5)], "overlap@10": kept}
            size = {"bytes_per_pin": prefix * 4 >> number, "bytes_scanned": prefix * 4 >> number}
            tasks = dict.fromkeys(TASKS, figures)
            codes.append({"scope": "fresh", "prefix": prefix, "code": name, **size, "tasks": tasks})
    promise = {"scope": "fresh", "code": "int4", "task": "search", "floor": 0.98, "retention": 0.94}
    return {"codes": codes, "targets": [{**promise, "interval": [0.92, 0.96], "verdict": "missed"}]}


def comparison() -> dict:
    """comparison.json: with the champion, version 3; Search is surely better, PinText surely worse."""

    def found(ours: float, difference: float) -> dict:
        figures = {"ours": ours, "champion": round(ours - difference, 5), "difference": difference}
        return {"queries": 90, "groups": 60, **figures, "low": difference - 0.002, "high": difference + 0.002}

    latency, size = {"ours": 5.0, "champion": 4.0}, {"ours": 64, "champion": 64}
    return {
        "champion": {"version": 3},
        "unread": None,
        "seen": {"share": 0.0, "exactly": True},
        "intervals": "95 %",
        "tasks": {"search": found(0.315, 0.01), "text_to_image": found(0.54, -0.006)},
        "compatible": None,
        "cost": {"latency_ms": latency, "weights_bytes": size, "vector_bytes": size},
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
    return ValidationReport(
        [whole, finding("Most Pins have a text", "12 % have none", "soft", False), *findings]
    ).to_dict()


@pytest.fixture
def catalogue_of(tmp_path: Path) -> Callable[[list[bytes]], Catalogue]:
    """Writes a catalogue of these images, titled like the drawings, the second one with a script."""
    return lambda images: write_catalogue(tmp_path / "prepared/catalogue", images)


@pytest.fixture
def run(tmp_path: Path, catalogue_of: Callable[[list[bytes]], Catalogue]) -> dict:
    """The arguments of render()."""
    for folder in ("evaluation", "neighbours"):
        (tmp_path / folder).mkdir()
    (tmp_path / "evaluation/metrics.json").write_text(json.dumps(metrics()))
    (tmp_path / "comparison.json").write_text(json.dumps(comparison()))
    (tmp_path / "evaluation/examples.json").write_text(json.dumps(examples()))
    (tmp_path / "evaluation/slices.json").write_text(json.dumps(slices()))
    (tmp_path / "evaluation/quantization_study.json").write_text(json.dumps(study()))
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
        "comparison": tmp_path / "comparison.json",
        "curves": tmp_path / "curves.jsonl",
        "baseline_curves": tmp_path / "baseline.jsonl",
        "catalogue": catalogue_of([drawn(i) for i in range(PINS)]),
        "neighbours": tmp_path / "neighbours",
        "validation": validated(),
        "config": load("demo", ["train.epochs=77"]),
        "timing_s": {
            "prepare": 3.2,
            "validate": 9.8,
            "neighbours": 1.1,
            "train": 84.0,
            "train-baseline": 61.5,
            "embed": 9.0,
        },
    }
