"""Monitoring: what a space keeps of the Pins it was trained on, facts without ids (spaces/drift_reference.py).

A row is known by its facts alone. They are reckoned once more, from the Pins as their catalogue has them; one row with
the very same facts goes for each Pin. Looks keep figures and histograms, no Pins (folders.py searches them all the
same).
"""

import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.forgetting.pins import Pins
from components.forgetting.place import Counts
from components.settings import Settings
from model.config import PrepareConfig
from model.data.catalogue import Catalogue, CatalogueWriter
from model.data.preparation import prepare
from model.data.reading import table_batches
from model.drift.facts import drift_facts
from model.errors import CatalogueError
from model.files import remove, replaced

AT_ONCE = 256  # Pins of a catalogue read together
MARK = "erased"  # in the file's metadata: digests of the Pins whose rows went


class Reference:
    name = "monitoring"

    def __init__(self, settings: Settings, catalogues: Iterable[Path], digests: Iterable[str]) -> None:
        """digests: of the Pins, by which a file remembers whose row has gone: two Pins may have the same facts."""
        self.settings, self.catalogues, self.digests = settings, list(catalogues), sorted(digests)
        self._known: list[tuple[object, ...]] | None = None

    def find(self, pins: Pins) -> Counts:
        return self._each(pins, False)

    def erase(self, pins: Pins) -> Counts:
        return self._each(pins, True)

    def _each(self, pins: Pins, erase: bool) -> Counts:
        counts = {}
        for file in sorted((self.settings.home / "serving").glob("*/reference/facts.parquet")):
            gone = (pq.read_schema(file).metadata or {}).get(MARK.encode(), b"").decode().split()
            count = 0 if set(self.digests) <= set(gone) else self._look(file, gone, pins, erase)
            counts[str(file.relative_to(self.settings.home))] = count
        return counts

    def _facts(self, pins: Pins) -> list[tuple[object, ...]]:
        if self._known is None:  # reckoned once: it takes a second, and the catalogues lose the Pins later
            self._known = _facts(self.catalogues, pins)
        return self._known

    def _look(self, file: Path, gone: list[str], pins: Pins, erase: bool) -> int:
        rows, left = pq.read_table(file), Counter(self._facts(pins))
        theirs = []
        for row in rows.to_pylist():
            key = _key(row)
            theirs.append(left[key] > 0)
            left[key] -= 1
        if any(theirs) and erase:
            others = rows.filter(pa.array([not one for one in theirs]))
            marks = {MARK: " ".join(sorted({*gone, *self.digests}))}
            with replaced(file) as scratch:
                pq.write_table(others.replace_schema_metadata(marks), scratch, compression="zstd")
        return sum(theirs)


def _facts(catalogues: Iterable[Path], pins: Pins) -> list[tuple[object, ...]]:
    """Of the Pins, each once; none where no catalogue has them any more."""
    found: dict[str, tuple[object, ...]] = {}
    for path in catalogues:
        source = Catalogue(path)
        with tempfile.TemporaryDirectory(prefix="pinclip-") as scratch:
            sample = Path(scratch) / "sample"
            if not _sampled(source, pins, sample):
                continue
            try:
                prepare(Catalogue(sample), Path(scratch) / "prepared", PrepareConfig())
            except CatalogueError:  # none of them can be used, nor was trained on
                continue
            for row in drift_facts(Path(scratch) / "prepared").to_pylist():
                pin_id = row.pop("pin_id")
                found[pin_id] = _key(row)
    return list(found.values())


def _sampled(source: Catalogue, pins: Pins, out: Path) -> int:
    """Without the column of consent: there was one when the facts were kept."""
    columns, count = [name for name in source.columns("pins") if name != "consent"], 0
    with CatalogueWriter(out) as writer:
        for rows in table_batches(source, "pins", columns, AT_ONCE):
            some = rows.filter(pc.fill_null(pc.is_in(rows["pin_id"], value_set=pa.array(pins.ids, pa.string())), False))
            if some.num_rows:
                writer.write("pins", some)
            count += some.num_rows
    if not count:
        remove(out)
    return count


def _key(row: dict[str, object]) -> tuple[object, ...]:
    return tuple(row[name] for name in sorted(row))
