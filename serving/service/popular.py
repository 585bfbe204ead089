"""The queries of the catalogue that were clicked most: what a visitor who has no idea yet may begin with."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from model.data.board_titles import titles_of, users_in
from model.data.catalogue import Catalogue
from model.data.forgotten import Forgotten, user_key
from model.data.preparation import withheld
from model.data.reading import read_table

KEPT = 1_000  # queries


class PopularQueries:
    def __init__(self, catalogue: Path | None) -> None:
        self._catalogue = catalogue
        self._clicks = (
            _clicks(Catalogue(catalogue)) if catalogue else pa.table({"query": [], "pin_id": [], "clicks": []})
        )
        self._forgotten, self.queries = Forgotten(), _by_clicks(self._clicks)  # the most clicked first

    def forget(self, forgotten: Forgotten) -> None:
        """A query that led to none but these Pins goes with them, and a title of a board with its user."""
        if forgotten != self._forgotten:
            self._forgotten = forgotten
            titles = pa.array(sorted(self._titles_of(forgotten)), pa.string())
            self._clicks = self._clicks.filter(pc.invert(forgotten.mask(self._clicks["pin_id"])))
            self._clicks = self._clicks.filter(pc.invert(pc.is_in(self._clicks["query"], value_set=titles)))
            self.queries = _by_clicks(self._clicks)

    def _titles_of(self, forgotten: Forgotten) -> set[str]:
        """Of boards of forgotten users whose rows the catalogue still holds."""
        if self._catalogue is None or not (self._catalogue / "pins").is_dir():
            return set()
        source = Catalogue(self._catalogue)
        users = [user for user in users_in(source) if user_key(user) in forgotten]
        return titles_of(source, users) if users else set()


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
