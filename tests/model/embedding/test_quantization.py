"""Quantizing a table: the range that is chosen, and codes that come back from their files."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.config.overrides import override
from model.embedding.affine import Affine, read_affine
from model.embedding.columns import as_matrix
from model.embedding.held_out import HELD_OUT_FILE
from model.embedding.quantization import QUANTILES, calibrate, keeping_most, quantize, read_codes
from model.embedding.retrieval import top_k
from model.embedding.stored import read_vectors
from model.graph.neighbourhood import build, read_training


def unit_vectors(rows=300, dim=16, outliers=True, seed=0):
    """A few dimensions much wider than the others: the whole range wastes codes."""
    x = np.random.default_rng(seed).normal(size=(rows, dim))
    if outliers:
        x[:, 0] *= 8
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def kept(x, affine, k=11):
    exact, rough = top_k(x, x, k)[0], affine.vectors(affine.quantize(x))
    found = top_k(rough, rough, k)[0]
    return np.mean([len(set(a) & set(b)) for a, b in zip(exact, found, strict=True)])


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("outliers", [True, False])
def test_the_chosen_range_keeps_no_fewer_neighbours_than_the_whole(bits, outliers):
    x = unit_vectors(outliers=outliers)
    chosen = calibrate(x, bits, seed=0)
    whole = Affine(float(np.abs(x).max()) / ((1 << (bits - 1)) - 1), 0, bits, 16)
    assert kept(x, chosen) >= kept(x, whole)
    assert chosen.scale in [
        pytest.approx(np.quantile(np.abs(x), q) / ((1 << (bits - 1)) - 1), rel=1e-6) for q in QUANTILES
    ]
    assert (chosen.zero_point, chosen.bits, chosen.dim) == (0, bits, 16)


def test_eight_bits_keep_nearly_all_neighbours():
    x = unit_vectors()
    assert kept(x, calibrate(x, 8, seed=0)) > 10.5
    assert kept(x, calibrate(x, 8, seed=0)) > kept(x, calibrate(x, 4, seed=0))


def test_lengths_that_rounding_changed_cost_neighbours():
    """Why vectors() brings them back to 1: without, the same codes keep fewer."""
    x = unit_vectors(rows=600)
    affine = calibrate(x, 4, seed=0)
    rough = affine.dequantize(affine.quantize(x))
    exact, found = top_k(x, x, 11)[0], top_k(rough, rough, 11)[0]
    assert kept(x, affine) > np.mean([len(set(a) & set(b)) for a, b in zip(exact, found, strict=True)]) + 0.3


def test_the_candidate_that_keeps_most_is_taken():
    x = unit_vectors()
    noise = np.random.default_rng(1).normal(size=x.shape).astype(np.float32)
    assert keeping_most(x, [0.3, 0.02, 0.1], lambda spread: x + spread * noise, seed=0) == 0.02


def test_two_vectors_are_enough_to_calibrate():
    assert calibrate(np.eye(2, dtype=np.float32), 8, seed=0).scale > 0


def test_codes_come_back_from_their_files(tmp_path, walked, embedded, config):
    affine = quantize(embedded, read_training(walked[1]), tmp_path / "quantized", config)
    assert read_affine(tmp_path / "quantized") == affine
    assert set(json.loads((tmp_path / "quantized" / "quantization.json").read_text())) == {
        "scale", "zero_point", "bits", "dim",
    }  # fmt: skip
    codes, vectors = read_codes(tmp_path / "quantized"), read_vectors(embedded, "pin")
    assert np.array_equal(codes, affine.quantize(vectors))
    assert np.abs(affine.dequantize(codes) - vectors).max() < 0.1
    assert (tmp_path / "quantized" / HELD_OUT_FILE).read_bytes() == (embedded / HELD_OUT_FILE).read_bytes()
    shard = "pins/00000.parquet"
    assert pq.read_table(tmp_path / "quantized" / shard)["pin_id"] == pq.read_table(embedded / shard)["pin_id"]
    assert {len(code) for code in pq.read_table(tmp_path / "quantized" / shard)["vector"].to_pylist()} == {affine.dim}


@pytest.mark.parametrize("judge", ["fresh", "validation"])
def test_what_is_not_trained_on_has_no_say_in_the_range(tmp_path, walked, embedded, config, judge):
    """Vectors of fresh Pins, and of those that a study leaves out, ten times as long: the range stays."""
    build(walked[0], tmp_path / "neighbours", override(config, {"split": {"judge": judge}}))
    training = read_training(tmp_path / "neighbours")
    before = quantize(embedded, training, tmp_path / "before", config)
    shutil.copytree(embedded, tmp_path / "vectors")
    shard = tmp_path / "vectors" / "pins" / "00000.parquet"
    table = pq.read_table(shard)
    vectors = as_matrix(table["pin"].combine_chunks()).copy()
    vectors[~training] *= 10
    column = pa.FixedSizeListArray.from_arrays(vectors.ravel(), vectors.shape[1])
    pq.write_table(table.set_column(1, "pin", column), shard)
    assert quantize(tmp_path / "vectors", training, tmp_path / "after", config) == before


def test_four_bits_on_fewer_pins(tmp_path, walked, embedded, config):
    config = override(config, {"quantization": {"bits": 4, "calibration_pins": 50}})
    affine = quantize(embedded, read_training(walked[1]), tmp_path / "quantized", config)
    codes = read_codes(tmp_path / "quantized")
    assert affine.bits == 4
    assert -8 <= codes.min() <= codes.max() <= 7
    assert np.array_equal(codes, affine.quantize(read_vectors(embedded, "pin")))
    stored = pq.read_table(tmp_path / "quantized/pins/00000.parquet")["vector"].to_pylist()
    assert {len(vector) for vector in stored} == {affine.dim // 2}  # two codes a byte: half of int8
