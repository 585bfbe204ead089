"""The store of records: what was written is found by its content, and nothing of another tower or half-written is."""

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import ModelError
from model.extraction.records import Records, keys_of_hex, text_keys, write_part

SHAPE = (2, 3)


def values(numbers: list[int]) -> torch.Tensor:
    """Records that say whose they are."""
    return torch.tensor(numbers, dtype=torch.float32)[:, None, None].expand(-1, *SHAPE).contiguous()


@settings(max_examples=30, deadline=None)
@given(parts=st.lists(st.lists(st.integers(0, 200), min_size=1, max_size=20), max_size=5))
def test_every_record_is_found_by_its_content_and_no_other(tmp_path_factory, parts):
    folder = tmp_path_factory.mktemp("records")
    for number, members in enumerate(parts):
        write_part(folder, f"part{number}", "tower", text_keys([str(m) for m in members]), values(members))
    records = Records(folder, "tower", SHAPE)
    present = sorted({member for members in parts for member in members})
    numbers = records.find(text_keys([str(member) for member in present]))
    assert torch.equal(records.read(numbers), values(present).to(torch.bfloat16).view(-1, *SHAPE))
    assert (records.find(text_keys([str(member) for member in range(201, 220)])) == -1).all()


def test_an_empty_folder_has_no_records(tmp_path):
    records = Records(tmp_path / "nothing", "tower", SHAPE)
    assert len(records) == 0
    assert records.find(text_keys(["a", "b"])).tolist() == [-1, -1]


def test_keys_that_end_in_zero_bytes_are_told_apart(tmp_path):
    keys = np.zeros((2, 32), dtype=np.uint8)
    keys[1, 30] = 1
    write_part(tmp_path, "part", "tower", keys, values([1, 2]))
    records = Records(tmp_path, "tower", SHAPE)
    assert records.read(records.find(keys))[:, 0, 0].tolist() == [1, 2]


def test_the_key_of_an_image_is_the_sum_that_prepare_wrote():
    assert keys_of_hex([hashlib.sha256(b"x").hexdigest()]).tobytes() == hashlib.sha256(b"x").digest()


@pytest.mark.parametrize("file", ["keys.u8", "records.bf16"])
def test_a_part_that_lost_bytes_is_refused(tmp_path, file):
    write_part(tmp_path, "part", "tower", text_keys(["a", "b"]), values([1, 2]))
    path = tmp_path / "part" / file
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelError, match=r"part is damaged; remove the folder"):
        Records(tmp_path, "tower", SHAPE)


def test_a_part_with_other_keys_is_refused(tmp_path):
    write_part(tmp_path, "part", "tower", text_keys(["a", "b"]), values([1, 2]))
    (tmp_path / "part" / "keys.u8").write_bytes(text_keys(["a", "c"]).tobytes())
    with pytest.raises(ModelError, match="damaged"):
        Records(tmp_path, "tower", SHAPE)


@pytest.mark.parametrize("text", ["", "[]", '{"count": "x"}', '{"count": 1, "tower": "tower"}'])
def test_a_damaged_description_is_one_sentence(tmp_path, text):
    write_part(tmp_path, "part", "tower", text_keys(["a"]), values([1]))
    (tmp_path / "part" / "part.json").write_text(text)
    with pytest.raises(ModelError, match="part is damaged; remove the folder"):
        Records(tmp_path, "tower", SHAPE)


@pytest.mark.parametrize(("tower", "shape"), [("another", SHAPE), ("tower", (2, 4))])
def test_a_part_of_another_tower_is_refused(tmp_path, tower, shape):
    write_part(tmp_path, "part", "tower", text_keys(["a"]), values([1]))
    with pytest.raises(ModelError, match="another tower"):
        Records(tmp_path, tower, shape)


def test_a_part_that_is_being_written_is_not_read(tmp_path):
    write_part(tmp_path, "part", "tower", text_keys(["a"]), values([1]))
    (tmp_path / "part").rename(tmp_path / ".part.123.partial")
    assert len(Records(tmp_path, "tower", SHAPE)) == 0
