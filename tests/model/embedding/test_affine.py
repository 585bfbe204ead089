"""The global affine code: its error, its ends, its bytes."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from model.embedding.affine import Affine, pack_nibbles, read_affine, unit_length, unpack_nibbles

UNIT = st.floats(-1, 1, width=32)


@given(hnp.arrays(np.float32, (5, 4), elements=UNIT), st.sampled_from([8, 4]), st.integers(-3, 3))
def test_inside_the_range_the_error_is_half_a_step(x, bits, zero_point):
    most = (1 << (bits - 1)) - 1 - abs(zero_point)
    affine = Affine(scale=1 / most, zero_point=zero_point, bits=bits, dim=4)
    back = affine.dequantize(affine.quantize(x))
    assert back.dtype == np.float32
    assert np.abs(back - x).max() <= affine.scale / 2 + 1e-6


def test_codes_by_hand():
    affine = Affine(scale=0.5, zero_point=1, bits=4, dim=6)
    x = np.array([[0.0, 0.5, -0.6, 2.9, 99.0, -99.0]], dtype=np.float32)
    codes = affine.quantize(x)
    assert codes.dtype == np.int8
    assert codes.tolist() == [[1, 2, 0, 7, 7, -8]]  # round(x / 0.5) + 1, between -8 and 7
    assert affine.dequantize(codes).tolist() == [[0.0, 0.5, -0.5, 3.0, 3.0, -4.5]]


@pytest.mark.parametrize(("bits", "low", "high"), [(8, -128, 127), (4, -8, 7)])
def test_values_outside_are_clipped(bits, low, high):
    affine = Affine(scale=0.01, zero_point=0, bits=bits, dim=2)
    assert affine.quantize(np.array([[1e9, -1e9]], np.float32)).tolist() == [[high, low]]


def test_two_codes_stand_in_a_byte():
    """1 in the low half and -2 (1110) in the high half; the fifth code alone."""
    packed = pack_nibbles(np.array([[1, -2, -8, 7, -1]], np.int8))
    assert packed.dtype == np.uint8
    assert packed.tolist() == [[0b1110_0001, 0b0111_1000, 0b0000_1111]]


@given(st.integers(1, 9).flatmap(lambda dim: hnp.arrays(np.int8, (4, dim), elements=st.integers(-8, 7))))
def test_packing_loses_nothing(codes):
    dim = codes.shape[1]
    for bits in (4, 8):
        affine = Affine(scale=0.1, zero_point=0, bits=bits, dim=dim)
        packed = affine.pack(codes)
        assert packed.shape == (4, affine.bytes_per_pin) == (4, -(-dim * bits // 8))
        assert np.array_equal(affine.unpack(packed), codes)


@given(st.integers(1, 4), hnp.arrays(np.int8, (3, 8), elements=st.integers(-8, 7)))
def test_half_the_bytes_are_the_codes_of_a_prefix(pairs, codes):
    assert np.array_equal(unpack_nibbles(pack_nibbles(codes)[:, :pairs], 2 * pairs), codes[:, : 2 * pairs])


def test_vectors_have_length_one_and_zeros_stay():
    affine = Affine(scale=0.5, zero_point=0, bits=8, dim=2)
    assert np.allclose(affine.vectors(np.array([[3, 4], [0, 0]], np.int8)), [[0.6, 0.8], [0, 0]])
    assert unit_length(np.zeros((2, 3), np.float32)).dtype == np.float32


def test_read_from_its_file(tmp_path):
    (tmp_path / "quantization.json").write_text(json.dumps({"scale": 0.5, "zero_point": 1, "bits": 4, "dim": 6}))
    assert read_affine(tmp_path) == Affine(scale=0.5, zero_point=1, bits=4, dim=6)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("scale", wrong) for wrong in (0, -1, "nan", "inf", float("nan"))),
        *(("zero_point", wrong) for wrong in (10**9, float("inf"))),
        *(("bits", wrong) for wrong in (0, 3, 64)),
        *(("dim", wrong) for wrong in (0, -8, 10**12)),
    ],
)
def test_numbers_that_make_no_code_are_refused(name, value):
    fields = {"scale": 0.01, "zero_point": 3, "bits": 8, "dim": 4}
    assert Affine.of(fields) == Affine.of({key: str(one) for key, one in fields.items()}) == Affine(0.01, 3, 8, 4)
    with pytest.raises(ValueError, match="no code has"):
        Affine.of(fields | {name: value})
