"""The file of decoded images: each record is its Pin's picture, in any order, and a wrong file is refused."""

import numpy as np
import pytest
from PIL import Image

from model.config import PrepareConfig
from model.data.catalogue import Catalogue
from model.data.images.decoding import to_pixels
from model.data.pixels import Pixels, decode_catalogue
from model.errors import CatalogueError


def test_each_record_is_its_pins_picture(walked):
    prepared, _ = walked
    images = [bytes(image.as_py()) for batch in Catalogue(prepared / "catalogue").batches("pins", ["image"])
              for image in batch.column("image")]  # fmt: skip
    pixels = Pixels(prepared / "pixels.u8", 32, len(images))
    rows = [5, 0, len(images) - 1, 5]
    read = pixels.read(rows)
    assert (read.shape, read.dtype) == ((4, 32, 32, 3), np.uint8)
    for row, record in zip(rows, read, strict=True):
        assert np.array_equal(record, to_pixels(images[row], 32, PrepareConfig()))
    assert pixels.read([]).shape == (0, 32, 32, 3)


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(
        CatalogueError, match=r"pixels\.u8 does not hold the 1 Pins at 32 pixels; run the prepare step again"
    ):
        Pixels(tmp_path / "pixels.u8", 32, 1)


@pytest.mark.parametrize(("size", "pins"), [(32, 4), (32, 1000), (64, 8), (16, 8)])
def test_a_file_of_another_size_or_catalogue_is_refused(tmp_path, size, pins):
    """Eight pictures of 32 pixels are as many bytes as two of 64: the size alone does not tell them apart."""
    (tmp_path / "pixels.u8").write_bytes(bytes(8 * 32 * 32 * 3))
    assert Pixels(tmp_path / "pixels.u8", 32, 8).read([7]).sum() == 0
    with pytest.raises(CatalogueError, match="run the prepare step again"):
        Pixels(tmp_path / "pixels.u8", size, pins)


def test_progress_rises_to_one_and_another_size_is_another_file(tmp_path, walked, config):
    catalogue, seen = Catalogue(walked[0] / "catalogue"), []
    decode_catalogue(catalogue, 16, config.prepare, tmp_path / "small.u8", seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    small = Pixels(tmp_path / "small.u8", 16, catalogue.count("pins")).read([3])[0]
    large = Pixels(walked[0] / "pixels.u8", 32, catalogue.count("pins")).read([3])[0]
    halved = np.asarray(Image.fromarray(large).resize((16, 16), Image.Resampling.BOX)).astype(int)
    assert np.abs(small - halved).mean() < 6
