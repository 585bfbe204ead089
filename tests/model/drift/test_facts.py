"""The facts that are compared, of a catalogue that the prepare step has really prepared."""

import io

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from model.config import PrepareConfig
from model.data.catalogue import Catalogue, CatalogueWriter
from model.data.preparation import prepare
from model.drift.facts import LABELS, NUMBERS, UNITS, drift_facts, script, some


def picture(brightness: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 30), (brightness,) * 3).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def facts(tmp_path_factory):
    """Of a white Pin, a black one, one that does not open and a second row of the first."""
    folder = tmp_path_factory.mktemp("facts")
    rows = {
        "pin_id": ["white", "black", "broken", "white"],
        "image": [picture(255), picture(0), b"no image", picture(7)],
        "title": ["Weiße Wand", "黒い壁", "x", "y"],
        "annotations": [["a", "b"], None, None, None],
    }
    with CatalogueWriter(folder / "catalogue") as writer:
        writer.write("pins", pa.table(rows))
    prepare(Catalogue(folder / "catalogue"), folder / "prepared", PrepareConfig())
    return drift_facts(folder / "prepared").to_pydict()


def test_one_row_for_all_that_was_judged(facts):
    assert facts["pin_id"] == ["white", "black", "broken", "white"]
    assert facts["refused"] == ["no", "no", "unknown format", "duplicate pin_id"]
    assert facts["script"] == ["latin", "cjk", None, None]
    assert facts["brightness"][:2] == [1, 0]
    assert facts["title_length"] == [10, 3, None, None]
    assert facts["annotations_length"] == [2, 0, None, None]
    assert facts["format"] == ["PNG", "PNG", None, None]
    assert set(facts) == {"pin_id", *NUMBERS, *LABELS}
    assert set(UNITS) == {*NUMBERS, *LABELS}


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["A cat", "кот"], "latin"),  # three letters of each: four of them Latin
        (["ねこ", "a"], "hiragana"),
        (["قطة"], "arabic"),
        (["12 / 7 🐈"], "none"),
        ([], "none"),
    ],
)
def test_the_script_of_most_letters(texts, expected):
    assert script(texts) == expected


def test_the_sample_is_a_matter_of_the_ids_alone():
    ids = [f"pin-{i}" for i in range(1000)]
    shuffled = np.random.default_rng(0).permutation(ids).tolist()
    chosen = {ids[i] for i in some(ids, 100)}
    assert chosen == {shuffled[i] for i in some(shuffled, 100)}
    assert len(chosen) == 100
    # Half of the Pins gone: those of the sample that are left are in the next one.
    assert chosen & set(ids[:500]) <= {ids[i] for i in some(ids[:500], 100)}
    assert some(ids, 5000).tolist() == list(range(1000))
    assert 30 < sum(int(name.split("-")[1]) < 500 for name in chosen) < 70
