"""The queries of the catalogue that were clicked most: what a visitor who has no idea yet may begin with."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from model.data.board_titles import OwnTitles
from model.data.catalogue import Catalogue
from model.data.forgotten import Forgotten
from model.data.preparation import withheld
from model.data.reading import read_table

KEPT = 1_000  # queries


class PopularQueries:
    def __init__(self, catalogue: Path | None) -> None:
        source = Catalogue(catalogue) if catalogue else None
        self._clicks = _clicks(source) if source else pa.table({"query": [], "pin_id": [], "clicks": []})
        self._titles = OwnTitles.read(source) if source else OwnTitles()
        self._forgotten, self._queries = Forgotten(), _by_clicks(self._clicks)

    def queries(self, least: int) -> list[str]:
        """The most clicked first; none that is but a title of boards of fewer than `least` users."""
        return [query for query in self._queries if self._titles.users.get(query, least) >= least]

    def forget(self, forgotten: Forgotten) -> None:
        """A query that led to none but these Pins goes with them, and a title of a board with its user."""
        if forgotten != self._forgotten:
            self._forgotten, self._titles = forgotten, self._titles.without(forgotten)
            self._clicks = self._clicks.filter(pc.invert(forgotten.mask(self._clicks["pin_id"])))
            self._queries = _by_clicks(self._clicks)


def _clicks(catalogue: Catalogue) -> pa.Table:
    """Every row of the KEPT queries; one without a number of clicks counts as one click."""
    rows = read_table(catalogue, "queries", ["query", "pin_id", "clicks"])
    rows = rows.filter(pc.invert(pc.is_in(rows["pin_id"], value_set=withheld(catalogue))))
    rows = rows.set_column(2, "clicks", pc.fill_null(rows["clicks"], 1))
    return rows.filter(pc.is_in(rows["query"], value_set=pa.array(_by_clicks(rows)[:KEPT], pa.string())))


def _by_clicks(rows: pa.Table) -> list[str]:
    total = rows.group_by("query").aggregate([("clicks", "sum")])
    ordered: list[str] = total.sort_by([("clicks_sum", "descending"), ("query", "ascending")])["query"].to_pylist()
    return ordered
