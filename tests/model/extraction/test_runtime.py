"""The exported graph of a frozen image tower: kept, and exported again where its bytes have changed."""

import logging

import numpy as np
import torch

from model.extraction.runtime import image_runner


def test_a_damaged_graph_is_told_and_exported_again(joined, tmp_path, caplog):
    size = joined.vision.image_size
    pixels = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    first, graph = image_runner(joined, tmp_path)(pixels), tmp_path / "tower.onnx"
    whole = graph.read_bytes()
    graph.write_bytes(whole[: len(whole) // 2] + bytes(64) + whole[len(whole) // 2 + 64 :])
    with caplog.at_level(logging.WARNING):
        again = image_runner(joined, tmp_path)(pixels)
    assert f"{graph} is damaged and is exported again from the tower." in caplog.text
    assert torch.equal(first, again)
    kept = graph.stat().st_mtime_ns
    image_runner(joined, tmp_path)
    assert graph.stat().st_mtime_ns == kept
