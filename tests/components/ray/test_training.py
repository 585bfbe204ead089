"""What a training on Ray does beside training, without a Ray."""

import tempfile
from pathlib import Path

import pytest
import torch

from components.ray.training import failure_reason, ray_train_folder


def test_on_a_cluster_ray_train_keeps_its_notes_where_all_nodes_see_them(tmp_path, monkeypatch):
    """Beside the model, on the volume that they share; /tmp is the head's own."""
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.3:6379")
    with ray_train_folder(tmp_path / "work" / "model") as notes:
        assert Path(notes).parent == tmp_path / "work"
    assert list((tmp_path / "work").iterdir()) == []
    monkeypatch.delenv("RAY_ADDRESS")
    with ray_train_folder(tmp_path / "elsewhere" / "model") as notes:
        assert Path(notes).parent == Path(tempfile.gettempdir())
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "Training failed:\n1 worker(s) were killed due to the node running low on memory.\nRefer to",
            "ran out of memory",
        ),
        # Ray says this of every process that was killed; nobody knows for what.
        ("(1) the process was killed by the OOM killer due to high memory usage\nexit code 9", "died: exit code 9."),
    ],
)
def test_a_worker_killed_for_its_memory_is_told_apart(said, told):
    text = failure_reason(RuntimeError(said))
    assert told in text and "\n" not in text and "it goes on from the last snapshot." in text


def test_so_is_one_that_cannot_get_it():
    with pytest.raises(RuntimeError) as refused:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert "ran out of memory" in failure_reason(refused.value)
    assert "ran out of memory" in failure_reason(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."))
    assert "ran out of memory" in failure_reason(MemoryError())
