"""Values of a child table, such as keywords or colours, gathered by pin_id before the Pins are read."""

import math
from collections.abc import Container

from model.sources.report import Quarantine
from model.sources.spec import Lookup
from model.sources.tables import Source, scan
from model.sources.values import BadValue, number, text

ROWS = 16_384


class LookupTable:
    """pin_id -> its values, the largest `by` first; without `by` in the order of the table."""

    def __init__(self, lookup: Lookup, source: Source, quarantine: Quarantine) -> None:
        self.source = source
        self._found: dict[str, list[tuple[float, str]]] = {}
        self._shared: dict[str, str] = {}  # millions of rows repeat some thousand words: keep each once
        for batch in scan(source, quarantine, ROWS):
            for place, record in batch.records():
                try:
                    key, value = text(record[lookup.key.name]), text(record[lookup.value.name])
                    by = number(record[lookup.by.name]) if lookup.by else None
                except BadValue as bad:
                    quarantine.refuse(source.tally, place, f"a value {bad}")
                    continue
                if key is None or value is None:
                    quarantine.refuse(source.tally, place, "no key or no value")
                    continue
                value = self._shared.setdefault(value, value)
                self._found.setdefault(key, []).append((-math.inf if by is None else by, value))

    def of(self, pin_id: str) -> list[str]:
        """Distinct values; sorting is stable, so equal `by` keep the table's order."""
        ranked = sorted(self._found.get(pin_id, ()), key=lambda found: -found[0])
        return list(dict.fromkeys(value for _, value in ranked))

    def settle(self, pins: Container[str]) -> None:
        """Counts rows of imported Pins as kept, the others as dropped."""
        tally = self.source.tally
        for pin_id, values in self._found.items():
            if pin_id in pins:
                tally.kept += len(values)
            else:
                tally.dropped["of Pins that are not in the catalogue"] += len(values)
