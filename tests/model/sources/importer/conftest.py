"""The tables that tests of the whole import change."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_import import SPEC, image


@pytest.fixture
def data(tmp_path):
    """Three Pins on two boards, and the spec above."""
    root = tmp_path / "data"
    root.mkdir()
    items = {"id": ["1", "2", "3"], "image": [image()] * 3, "name": ["one", "two", None]}
    pq.write_table(pa.table(items), root / "items.parquet")
    (root / "boards.csv").write_text("board,item,title\nb,1,red\nb,2,red\nc,3,blue\n")
    (root / "spec.yaml").write_text(SPEC)
    return root
