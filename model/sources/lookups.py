"""Values of a child table, such as keywords or colours, gathered by pin_id before the Pins are read."""

import math
from collections.abc import Mapping
from typing import Any

from model.sources.keys import Spellings
from model.sources.report import Quarantine
from model.sources.spec import Lookup
from model.sources.tables import Source, scan
from model.sources.values import BadValue, number, text, word

ROWS = 16_384


class LookupTable:
    """pin_id -> its values, the largest `by` first; without `by` in the order of the table."""

    def __init__(self, lookup: Lookup, source: Source, quarantine: Quarantine) -> None:
        self.source = source
        self._found: dict[str, list[tuple[float, str]]] = {}
        self._spellings = Spellings(self._found)
        self._shared: dict[str, str] = {}  # millions of rows repeat some thousand words: keep each once
        for batch in scan(source, quarantine, ROWS):
            for place, record in batch.records():
                try:
                    key, value = text(record[lookup.key.name]), word(record[lookup.value.name])
                except BadValue as bad:
                    quarantine.refuse(source.tally, None, f"a value {bad}", place)
                    continue
                if key is None or value is None:
                    quarantine.refuse(source.tally, None, "no key or no value", place)
                    continue
                value = self._shared.setdefault(value, value)
                self._found.setdefault(key, []).append((self._rank(lookup, record), value))

    def of(self, pin_id: str) -> list[str]:
        """Distinct values; sorting is stable, so equal `by` keep the table's order."""
        key = self._spellings.find(pin_id)
        ranked = sorted(self._found[key], key=lambda found: -found[0]) if key is not None else []
        return list(dict.fromkeys(value for _, value in ranked))

    def settle(self, pins: Spellings) -> None:
        """Counts rows of imported Pins as kept, the others as dropped."""
        tally = self.source.tally
        for key, values in self._found.items():
            if pins.find(key) is not None:
                tally.kept += len(values)
            else:
                tally.dropped["of Pins that are not in the catalogue"] += len(values)
                tally.example = tally.example or pins.example(key)

    def _rank(self, lookup: Lookup, record: Mapping[str, Any]) -> float:
        """Rows without a readable `by` come last."""
        try:
            by = number(record[lookup.by.name]) if lookup.by else None
        except BadValue as bad:
            self.source.tally.left_empty[f"by {bad}"] += 1
            by = None
        return -math.inf if by is None else by
