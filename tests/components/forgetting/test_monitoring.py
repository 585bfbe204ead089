"""The facts that monitoring keeps of a space's Pins: the Pin's row goes, also where its consent is gone already."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from served_pins import drawn

from components.forgetting.monitoring import Reference
from components.forgetting.pins import Pins
from components.settings import Settings
from components.spaces.drift_reference import keep_reference
from model.config import PrepareConfig
from model.data.catalogue import Catalogue, CatalogueWriter
from model.data.preparation import prepare

IDS = ["a", "b", "c"]


def written(folder, **columns):
    with CatalogueWriter(folder) as writer:
        writer.write("pins", pa.table({"pin_id": IDS, "image": [drawn(i) for i in range(3)], "title": IDS} | columns))
    return folder


@pytest.mark.parametrize("today", [{}, {"consent": [True, False, True]}, {"consent": [None, None, None]}])
def test_one_row_goes_and_the_others_stay(tmp_path, today):
    settings = Settings(home=tmp_path / "home")
    prepare(Catalogue(written(tmp_path / "then")), tmp_path / "prepared", PrepareConfig())
    keep_reference(tmp_path / "prepared", "v1", settings)
    file = settings.home / "serving/v1/reference/facts.parquet"
    rows = pq.read_table(file).to_pylist()
    place = Reference(settings, [written(tmp_path / "today", **today)], ["digest of b"])
    assert place.erase(Pins(("b",))) == {"serving/v1/reference/facts.parquet": 1}
    assert pq.read_table(file).to_pylist() == [rows[0], rows[2]]
    assert not any(place.find(Pins(("b",))).values())
