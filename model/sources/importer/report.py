"""The report of an import: rows read, kept and dropped by table; refused rows go to quarantine.parquet."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from model.files import write_json

QUARANTINE = pa.schema([(name, pa.string()) for name in ("table", "key", "reason", "place")])
FLUSH = 65_536  # rows held before they are written; a table of unknown Pins can refuse millions


@dataclass
class Tally:
    """Counts of one table of the spec. Dropped rows were excluded by `where`, or refused and put in quarantine."""

    label: str
    read: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    left_empty: Counter[str] = field(default_factory=Counter)  # optional values of kept rows that could not be read
    listlike: int = 0  # annotations that were taken as one word
    extra_lines: int = 0  # line breaks within the values of a text file
    example: str = ""  # of an id that no Pin has

    @property
    def reason(self) -> str:
        """Why rows or values were dropped, and further notes."""
        parts = [f"{rows:,} × {why}" for why, rows in self.dropped.most_common()]
        parts += [f"{cells:,} × {why} (left empty)" for why, cells in self.left_empty.most_common()]
        if self.listlike:
            parts.append(f"{self.listlike:,} annotations look like a list written as text; write separator: or format:")
        if self.extra_lines:
            parts.append(f"line breaks within values: {self.extra_lines:,}")
        return "; ".join(parts + self.notes)


@dataclass(frozen=True)
class ImportReport:
    """One row a table of the spec, for people (`rows`) and beside the catalogue (`import.json`)."""

    spec: str
    tallies: tuple[Tally, ...]
    quarantined: int  # rows of quarantine.parquet

    def rows(self) -> list[dict[str, Any]]:
        """table, read, kept, dropped (counts of rows) and reason, in the order of the import."""
        return [
            {"table": t.label, "read": t.read, "kept": t.kept, "dropped": t.dropped.total(), "reason": t.reason}
            for t in self.tallies
        ]

    def save(self, path: Path) -> None:
        write_json(path, {"spec": self.spec, "quarantined": self.quarantined, "rows": self.rows()})


class Quarantine:
    """Streams refused rows (table, key, reason, place) to a Parquet file, which is empty if no row was refused.

    with Quarantine(folder / "quarantine.parquet") as quarantine:
        quarantine.refuse(tally, "pin 7", "no such image file", "items.csv line 8")
    """

    def __init__(self, path: Path) -> None:
        self.path, self.count = path, 0
        self._pending: list[dict[str, str]] = []

    def refuse(self, tally: Tally, key: str | None, reason: str, place: str) -> None:
        """`key` identifies the row by its ids; if it is empty, the place does."""
        tally.dropped[reason] += 1
        self.count += 1
        table = tally.label.partition("[")[0]
        self._pending.append({"table": table, "key": key or place, "reason": reason, "place": place})
        if len(self._pending) >= FLUSH:
            self._flush()

    def __enter__(self) -> "Quarantine":
        self._file = pq.ParquetWriter(self.path, QUARANTINE, compression="zstd")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()
        self._file.close()

    def _flush(self) -> None:
        self._file.write_table(pa.Table.from_pylist(self._pending, schema=QUARANTINE))
        self._pending = []
