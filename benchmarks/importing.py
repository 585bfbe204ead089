"""Speed and memory of `pinclip import`: Pins and board rows a second, from Parquet and from CSV.

    python benchmarks/importing.py --pins 1000000 --boards 10000000

The tables are made in --work first, with 64 tiny pictures: in a column of the Parquet, in files beside the CSV. Every
import runs in a process of its own, so that its peak memory is its own.
"""

import argparse
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as compute
import pyarrow.csv as pc
import pyarrow.parquet as pq
from measure import peak_bytes
from PIL import Image

from model.sources.importer.catalogue import import_catalogue
from model.sources.importer.spec.reading import load_spec

SPEC = """
pins: {{table: pins.{ending}, pin_id: id, image: {image}, title: title, created_at: created}}
boards: {{table: boards.{ending}, board_id: board, pin_id: pin, title: name, saved_at: saved}}
"""
IMAGES = {"parquet": "image", "csv": "{column: file, folder: images}"}
BATCH = 100_000
PER_BOARD = 50


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pins", type=int, default=100_000)
    parser.add_argument("--boards", type=int, default=1_000_000, help="Board rows.")
    parser.add_argument("--work", type=Path)
    parser.add_argument("--only", choices=IMAGES, help="Import the tables of --work in this process, and print it.")
    given = parser.parse_args()
    if given.only:
        print(json.dumps(measured(given.work, given.only)))
        return
    with tempfile.TemporaryDirectory(dir=given.work) as folder:
        make(Path(folder), given.pins, given.boards)
        print("| tables | Pins/s | board rows/s | seconds | peak memory |\n| --- | ---: | ---: | ---: | ---: |")
        for ending in IMAGES:
            command = [sys.executable, __file__, "--work", folder, "--only", ending]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            cells = [f"{found[name]:,.0f}" for name in ("pins/s", "boards/s", "seconds")]
            print(f"| {ending} | {' | '.join(cells)} | {found['peak'] / 2**20:,.0f} MiB |", flush=True)


def measured(folder: Path, ending: str) -> dict[str, float]:
    """Rows a second of both tables; the boards start where the progress of the Pins ends, at 0.8."""
    start = time.process_time()
    times = {"pins": start, "boards": start}

    def report(done: float, message: str) -> None:
        times["pins" if "pins kept" in message else "boards"] = time.process_time()

    result = import_catalogue(load_spec(folder / f"{ending}.yaml"), folder / f"catalogue-{ending}", report)
    kept = {row["table"]: row["kept"] for row in result.rows()}
    return {
        "pins/s": kept["pins"] / (times["pins"] - start),
        "boards/s": kept["boards"] / (times["boards"] - times["pins"]),
        "seconds": time.process_time() - start,
        "peak": peak_bytes(),
    }


def make(folder: Path, pins: int, boards: int) -> None:
    (folder / "images").mkdir()
    images = [picture(number) for number in range(64)]
    for number, image in enumerate(images):
        (folder / "images" / f"{number}.png").write_bytes(image)
    write(folder, "pins", pin_batches(pins, images))
    write(folder, "boards", board_batches(pins, boards))
    for ending, image in IMAGES.items():
        (folder / f"{ending}.yaml").write_text(SPEC.format(ending=ending, image=image))


def picture(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (number, 2 * number, 3 * number)).save(buffer, "PNG")
    return buffer.getvalue()


def pin_batches(pins: int, images: list[bytes]) -> Iterator[pa.Table]:
    for start in range(0, pins, BATCH):
        rows = np.arange(start, min(pins, start + BATCH))
        columns = {
            "id": texts(rows),
            "title": joined('oak table, "no. ', rows, '"'),
            "file": joined("", rows % len(images), ".png"),
            "created": joined("2021-03-04 05:06:", rows % 50 + 10, ""),
            "image": pa.array(images, pa.binary()).take(pa.array(rows % len(images))),
        }
        yield pa.table(columns)


def board_batches(pins: int, boards: int) -> Iterator[pa.Table]:
    """A board is 50 rows, of Pins far from each other, so that no row is there twice."""
    for start in range(0, boards, BATCH):
        rows = np.arange(start, min(boards, start + BATCH))
        columns = {
            "board": pa.array(rows // PER_BOARD),
            "pin": texts(rows * 7919 % pins),
            "name": joined("board ", rows // PER_BOARD % 5000, ""),
            "saved": joined("2022-03-04 05:06:", rows % 50 + 10, ""),
        }
        yield pa.table(columns)


def texts(numbers: np.ndarray) -> pa.Array:
    return pa.array(numbers).cast(pa.string())


def joined(before: str, numbers: np.ndarray, after: str) -> pa.Array:
    return compute.binary_join_element_wise(before, texts(numbers), after, "")


def write(folder: Path, name: str, batches: Iterator[pa.Table]) -> None:
    first = next(batches)
    text = first.drop_columns(["image"]) if "image" in first.column_names else first
    with (
        pq.ParquetWriter(folder / f"{name}.parquet", first.schema, compression="zstd") as parquet,
        pc.CSVWriter(folder / f"{name}.csv", text.schema) as csv,
    ):
        for batch in (first, *batches):
            parquet.write_table(batch, row_group_size=10_000)
            csv.write_table(batch.select(text.column_names))


if __name__ == "__main__":
    main()
