"""What the tests of training and of a cluster share: a tiny catalogue, and two trainings on it. One process runs both.

The cluster is real and its nodes are processes of this machine: a head without CPUs, where the driver is, and nodes of
one CPU each, so that two workers or two parts at a time are on two nodes.
"""

import os
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
from safetensors.torch import load_file
from tiny import TINY, tiny_catalogue

from components import progress
from components.ray import training
from model.config import Config, load
from model.config.overrides import override
from model.data import pixels
from model.data.catalogue import Catalogue, CatalogueWriter
from model.data.preparation import prepare
from model.graph import neighbourhood
from model.training.loop import fit

LEAN = {"include_log_monitor": False}
# A dead node is found out in seconds.
QUICK = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 5}


@dataclass(frozen=True)
class Trained:
    """What a training told and left."""

    figures: dict
    model: Path
    reported: list[int]
    events: Path

    def differs_from(self, model: Path) -> float:
        """The largest difference between two models' weights."""
        first, second = (load_file(folder / "model.safetensors") for folder in (self.model, model))
        return max((first[name] - second[name]).abs().max().item() for name in first)


@pytest.fixture(scope="session")
def config() -> Config:
    return load("smoke", (*TINY, "train.checkpoint_steps=2"))


@pytest.fixture(scope="session")
def two(config) -> Config:
    """The same with two workers."""
    return override(config, {"train": {"workers": 2}})


@pytest.fixture(scope="session")
def walked(tmp_path_factory, config) -> tuple[Path, Path]:
    """The folders (prepared, neighbours) of 200 generated Pins, prepared in shards of 32."""
    root = tmp_path_factory.mktemp("tiny")
    prepare(Catalogue(tiny_catalogue(root)), root / "whole", config.prepare)
    whole = Catalogue(root / "whole" / "catalogue")
    with CatalogueWriter(root / "prepared" / "catalogue", rows_per_shard=32) as writer:
        for table in ("pins", "boards", "queries"):
            writer.write(table, whole.read(table, whole.columns(table)))
    pixels.decode_catalogue(
        Catalogue(root / "prepared" / "catalogue"),
        config.vision.image_size,
        config.prepare,
        root / "prepared" / "pixels.u8",
    )
    neighbourhood.build(root / "prepared", root / "neighbours", config)
    return root / "prepared", root / "neighbours"


@pytest.fixture(scope="session")
def alone(tmp_path_factory, walked, config) -> Trained:
    """The training in this process."""
    folder = tmp_path_factory.mktemp("alone")
    return Trained(fit(*walked, folder / "model", config, lambda point: None), folder / "model", [], folder)


@pytest.fixture(scope="session")
def interrupted(tmp_path_factory, walked, two) -> Trained:
    """Two workers on one machine; the first dies once after step 3: both start again from the snapshot of step 2."""
    folder = tmp_path_factory.mktemp("interrupted")
    log, events = folder / "log", folder / "events.jsonl"

    def die_once(point):
        before = log.read_text().split() if log.is_file() else []
        log.write_text(" ".join([*before, str(point["step"])]))
        progress.advance_training(point)
        if point["step"] == 3 and "3" not in before:
            os._exit(1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(progress.EVENTS, str(events))
        with progress.step("train"):
            figures = training.train(*walked, folder / "out" / "model", two, die_once)
    return Trained(figures, folder / "out" / "model", [int(step) for step in log.read_text().split()], events)


@pytest.fixture(scope="session")
def cluster(interrupted):
    """After a Ray of one machine: that turns token authentication on for whatever this process starts later."""
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    # Without what only people look at: a node that is not up within 15 s gives up.
    cluster.add_node(num_cpus=0, **LEAN, include_dashboard=False, no_monitor=True, _system_config=QUICK)
    yield cluster
    cluster.shutdown()


@pytest.fixture
def nodes(cluster, monkeypatch):
    """Call with a number: that many nodes of one CPU are there, and RAY_ADDRESS names their cluster."""

    def grow(number: int) -> list:
        while len(cluster.worker_nodes) < number:
            cluster.add_node(num_cpus=1, **LEAN)
        cluster.wait_for_nodes()
        return list(cluster.worker_nodes)

    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    return grow


@pytest.fixture
def lose(cluster):
    """Call with a file: once it names a node, that node is lost."""
    over, threads = threading.Event(), []

    def watch(mark: Path) -> None:
        while not (mark.is_file() and mark.read_text()):
            if over.wait(0.05):
                return
        (node,) = [node for node in cluster.worker_nodes if node.node_id == mark.read_text()]
        cluster.remove_node(node, allow_graceful=False)

    def start(mark: Path) -> None:
        threads.append(threading.Thread(target=watch, args=(mark,)))
        threads[-1].start()

    yield start
    over.set()
    for thread in threads:
        thread.join()
