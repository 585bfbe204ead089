"""Training, embedding and walks on a Ray cluster: what one machine finds, bit for bit; a lost node costs a retry."""

import os
import socket
import time
from pathlib import Path

import numpy as np
import pytest

from components.ray import parallel, training
from components.ray.parallel import on_cluster, spread
from model.config import GraphConfig
from model.embedding import embedder
from model.errors import CatalogueError, RunError
from model.graph.walks import Adjacency, random_walk_neighbours
from model.parallel import in_threads, in_turn


@pytest.fixture
def one_thread():
    """As many as a part has on a cluster: with more, sums of fp32 are added up in another order."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_walks_on_two_nodes_find_what_they_find_here(tmp_path, nodes, walked):
    import ray

    nodes(2)
    rng = np.random.default_rng(0)
    graph = Adjacency.of(rng.integers(6000, size=20_000), rng.integers(500, size=20_000), 6000)
    config, marks = GraphConfig(walks=16), tmp_path / "marks"
    marks.mkdir()

    def with_marks(work, parts):
        def marked(part):
            (marks / ray.get_runtime_context().get_node_id()).touch()
            time.sleep(0.2)
            return work(part)

        return spread(in_threads)(marked, parts)

    here = random_walk_neighbours(graph, config, 3)
    there = random_walk_neighbours(graph, config, 3, each=with_marks)
    assert len(list(marks.iterdir())) >= 2  # another test may have grown the cluster
    assert not ray.is_initialized()
    assert len(here.pin) > 100_000
    for name in ("pin", "neighbour", "weight"):
        assert np.array_equal(getattr(here, name), getattr(there, name))


def test_training_loses_a_node_and_ends_as_on_one(tmp_path, nodes, lose, walked, two, interrupted):
    """Two workers, a node each; that of the first is lost after step 3, both go on from the snapshot of step 2."""
    import ray

    nodes(3)
    log, victim = tmp_path / "log", tmp_path / "victim"

    def report(point):
        before = log.read_text().split() if log.is_file() else []
        log.write_text(" ".join([*before, str(point["step"])]))
        if point["step"] == 3 and "3" not in before:
            victim.write_text(ray.get_runtime_context().get_node_id())
            time.sleep(600)

    lose(victim)
    out = tmp_path / "out" / "model"
    figures = training.train(*walked, out, two, report)
    assert list(map(int, log.read_text().split())) == interrupted.reported
    assert figures["loss"] == interrupted.figures["loss"]
    assert interrupted.differs_from(out) == 0


@pytest.mark.usefixtures("one_thread")
def test_embedding_loses_a_node_and_writes_the_same_files(tmp_path, nodes, lose, walked, alone):
    """The first node that a part comes to never finishes it and is lost; the other does that part and the rest."""
    import ray

    nodes(2)
    victim, marks = tmp_path / "victim", tmp_path / "marks"
    marks.mkdir()

    def with_loss(work, parts):
        def watched(part):
            node = ray.get_runtime_context().get_node_id()
            mark = marks / (part.path.stem if part else "queries")
            with mark.open("a") as file:
                file.write(f"{node}\n")
            if part and part.first == 0 and not victim.is_file():
                victim.write_text(node)
                time.sleep(600)
            return work(part)

        return spread(in_turn, gpu=True)(watched, parts)

    lose(victim)
    prepared, seen = walked[0], []
    told = embedder.embed(prepared, alone.model, tmp_path / "there", lambda *said: seen.append(said[0]), with_loss)
    assert told == embedder.embed(prepared, alone.model, tmp_path / "here")
    here, there = (contents(tmp_path / name) for name in ("here", "there"))
    assert here == there
    assert len(here) > 7
    worked = {mark.name: mark.read_text().split() for mark in marks.iterdir()}
    assert worked["00000"][0] == victim.read_text()
    assert len(set(worked["00000"])) == 2
    assert (seen == sorted(seen), seen[-1]) == (True, 1.0)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_mistake_and_a_part_that_always_dies(tmp_path, nodes, monkeypatch):
    nodes(1)

    def refuse(part):
        raise CatalogueError(f"{part} is no shard; import again.")

    with pytest.raises(CatalogueError, match=r"^one is no shard; import again\.$"):
        list(on_cluster(refuse, ["one", "two"]))
    monkeypatch.setattr(parallel, "RETRIES", 0)
    with pytest.raises(RunError, match=r"^A part was lost 1 times with the process or node that worked on it \("):
        list(on_cluster(lambda part: os._exit(1), ["one"]))


def test_an_address_that_does_not_answer(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    with pytest.raises(RunError, match=r"^Nobody answers at RAY_ADDRESS=127\.0\.0\.1:\d+ \(.*refused\); check that"):
        list(on_cluster(str, ["one"]))


def test_without_a_cluster_ray_is_not_started(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert spread(in_turn, gpu=True) is in_turn
