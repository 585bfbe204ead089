"""Two and three workers with a share of the rows each give the loss and the gradients of one worker with all rows,

in a plain step and with gradient caching.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from model.config.overrides import override

SCRIPT = Path(__file__).parent / "workers.py"
WORLDS = (2, 3)  # with three, the two directions of the ring differ


def _load_script():
    spec = importlib.util.spec_from_file_location("workers", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def measured(tmp_path_factory, walked, training_set, config):
    """{workers: the results of each rank}; one worker's are computed in this process."""
    folder = tmp_path_factory.mktemp("workers")
    config = override(config, {"train": {"batch_size": 24}})
    generator = torch.Generator().manual_seed(0)
    given = {name: F.normalize(torch.randn(12, 8, generator=generator), dim=1) for name in ("x", "y")}
    given["labels"] = torch.randint(-1, 2, (12, 12), generator=generator, dtype=torch.int8)
    torch.save(given, folder / "given.pt")
    (folder / "config.json").write_text(config.to_json())
    arguments = [*map(str, (folder, *walked, folder / "config.json")), *map(str, WORLDS)]
    done = subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    script = _load_script()
    alone = script.pair_gradients(given, 0, 1) | script.task_gradients(training_set, config, 0, 1)
    return {1: [alone]} | {n: [torch.load(folder / f"{n}-{r}.pt") for r in range(n)] for n in WORLDS}


@pytest.mark.parametrize("workers", WORLDS)
def test_losses_are_the_mean_over_workers(measured, workers):
    alone, ranks = measured[1][0], measured[workers]
    names = [name for name in alone if name.endswith(".loss") or name.startswith("task.")]
    assert {"sigmoid.loss", "task.pinclip.plain_step.neighbour", "task.clip.cached_step.loss"} <= set(names)
    assert {"task.compatible.plain_step.compatible", "task.compatible.cached_step.compatible"} <= set(names)
    for name in names:
        mean = torch.stack([rank[name] for rank in ranks]).mean()
        assert mean.item() == pytest.approx(alone[name].item(), rel=1e-5), name


@pytest.mark.parametrize("workers", WORLDS)
@pytest.mark.parametrize("loss", ["sigmoid", "softmax"])
def test_gradients_of_pairs_equal_those_of_the_whole(measured, workers, loss):
    alone, ranks = measured[1][0], measured[workers]
    for side in ("x", "y"):
        rows = torch.cat([rank[f"{loss}.{side}"] for rank in ranks])
        assert torch.allclose(rows, alone[f"{loss}.{side}"], atol=1e-6)
    for rank in ranks:
        assert torch.allclose(rank[f"{loss}.temperature"], alone[f"{loss}.temperature"], atol=1e-6)


@pytest.mark.parametrize("workers", WORLDS)
@pytest.mark.parametrize("step", ["plain_step", "cached_step"])
def test_every_parameter_has_the_gradient_of_the_global_batch(measured, workers, step):
    """Of the plain step of one worker; gradient caching shares its gradients without DistributedDataParallel."""
    alone = measured[1][0]
    names = [name for name in alone if name.startswith("gradient.") and ".plain_step." in name]
    assert len(names) > 100
    for rank in measured[workers]:
        for name in names:
            scale = max(alone[name].abs().max().item(), 1.0)
            found = rank[name.replace("plain_step", step)]
            assert (found - alone[name]).abs().max().item() < 1e-5 * scale, name
