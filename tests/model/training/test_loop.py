"""Training: it learns, repeats itself, goes on after a kill where it was, and stops at once where it cannot go on."""

import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from model.config import TrainConfig
from model.config.overrides import override
from model.embedding.embedder import Embedder, embed
from model.embedding.stored import read_vectors
from model.errors import TrainingError
from model.graph.neighbourhood import read_fresh
from model.training import loop
from model.training.loop import fit
from model.training.objective import PinClip
from model.training.optimizer import Optimizers
from model.training.snapshot import Snapshot


def silent(point):
    pass


@pytest.fixture(scope="module")
def short(config):
    """Two epochs, a snapshot every third step of ten."""
    return override(config, {"train": {"epochs": 2, "checkpoint_steps": 3}})


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, walked, short):
    folder = tmp_path_factory.mktemp("uninterrupted") / "model"
    return fit(*walked, folder, short, silent), folder


def weights(folder):
    return load_file(folder / "model.safetensors")


def same_weights(one, two) -> bool:
    return all(torch.equal(weights(one)[name], value) for name, value in weights(two).items())


def curves(folder) -> list[dict]:
    """The logged steps but for their speed."""
    lines = map(json.loads, (folder / "curves.jsonl").read_text().splitlines())
    speed = ("images_per_s", "waiting_share")
    return [{name: value for name, value in line.items() if name not in speed} for line in lines]


def test_the_loss_falls(trained):
    _, points = trained
    for name in ("loss", "image_text", "neighbour", "text_fused"):
        first, last = (np.mean([point[name] for point in part]) for part in (points[:5], points[-5:]))
        assert last < first, name
    assert points[-1]["loss"] < 0.8 * points[0]["loss"]


def test_what_is_reported_and_logged(trained, config):
    folder, points = trained
    assert [point["step"] for point in points] == list(range(1, len(points) + 1))
    assert points[-1]["epoch"] == config.train.epochs
    assert points[-1]["fraction"] == 1.0
    logged = [json.loads(line) for line in (folder / "curves.jsonl").read_text().splitlines()]
    assert logged == [{name: value for name, value in point.items() if name != "fraction"} for point in points]
    assert set(logged[0]) == {
        "step", "epoch", "loss", "image_text", "neighbour", "text_fused", "gradient_norm", "learning_rate",
        "images_per_s", "waiting_share",
    }  # fmt: skip
    assert all(0 <= line["waiting_share"] <= 1 for line in logged)
    assert {path.name for path in folder.iterdir()} == {
        "model.safetensors", "config.json", "tokenizer.json", "curves.jsonl",
    }  # fmt: skip
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_the_result_sums_up(uninterrupted, training_set):
    result, folder = uninterrupted
    assert result["steps"] == 10
    assert result["pins"] == len(training_set)
    assert result["parameters"] == sum(value.numel() for value in weights(folder).values())
    assert result["loss"] == curves(folder)[-1]["loss"]


def test_the_same_seed_gives_the_same_weights(tmp_path, walked, short, uninterrupted):
    fit(*walked, tmp_path / "again", short, silent)
    assert same_weights(tmp_path / "again", uninterrupted[1])
    assert curves(tmp_path / "again") == curves(uninterrupted[1])
    fit(*walked, tmp_path / "other", override(short, {"seed": 1}), silent)
    assert not same_weights(tmp_path / "other", uninterrupted[1])


class Killed(BaseException):
    pass


@pytest.mark.parametrize("after", [1, 3, 7, 10])
def test_a_killed_run_ends_as_if_it_had_not_been_killed(tmp_path, walked, short, uninterrupted, after):
    def kill(point):
        if point["step"] == after:
            raise Killed

    out, seen = tmp_path / "model", []
    with pytest.raises(Killed):
        fit(*walked, out, short, kill)
    assert not out.exists()
    result = fit(*walked, out, short, lambda point: seen.append(point["step"]))
    begun = (after - 1) // 3 * 3  # the kill came before the snapshot of its own step
    assert seen == list(range(begun + 1, 11))
    assert same_weights(out, uninterrupted[1])
    assert result["loss"] == uninterrupted[0]["loss"]
    assert curves(out) == curves(uninterrupted[1])
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_snapshot_of_other_settings_is_not_taken_up(tmp_path, walked, short, uninterrupted):
    def kill(point):
        if point["step"] == 5:
            raise Killed

    with pytest.raises(Killed):
        fit(*walked, tmp_path / "model", override(short, {"train": {"learning_rate": 0.01}}), kill)
    fit(*walked, tmp_path / "model", short, silent)
    assert same_weights(tmp_path / "model", uninterrupted[1])


@pytest.fixture
def poison(monkeypatch):
    """poison(4): a weight turns NaN after step 4."""
    tasks, make = [], PinClip

    def remember(config):
        tasks.append(make(config))
        return tasks[-1]

    def at(step):
        def report(point):
            if point["step"] == step:
                with torch.no_grad():
                    tasks[0].encoder.image_head.bias[0] = math.nan

        return report

    monkeypatch.setattr(loop, "PinClip", remember)
    return at


def test_a_run_that_is_not_finite_before_its_first_snapshot_stops(tmp_path, walked, short, poison):
    out = tmp_path / "model"
    with pytest.raises(TrainingError, match=r"not finite at step 2; no snapshot was due yet; lower train\.learn"):
        fit(*walked, out, short, poison(1))
    assert not out.exists()


def test_a_poisoned_weight_stops_at_its_step(tmp_path, walked, short, poison):
    """The snapshot of step 3 is good and stays."""
    with pytest.raises(TrainingError, match=r"not finite at step 5; the snapshot of step 3 is kept"):
        fit(*walked, tmp_path / "model", short, poison(4))
    assert not (tmp_path / "model").exists()
    assert Snapshot(tmp_path / ".model.snapshot.safetensors", short).kept_step() == 3
    kept = load_file(tmp_path / ".model.snapshot.safetensors")
    assert all(torch.isfinite(value).all() for value in kept.values())


def test_a_batch_larger_than_the_data(tmp_path, walked, config, training_set):
    with pytest.raises(TrainingError, match=rf"batch_size is 512, but there are {len(training_set)} training Pins"):
        fit(*walked, tmp_path / "model", override(config, {"train": {"batch_size": 512}}), silent)


def test_a_batch_that_does_not_divide(tmp_path, walked, config):
    with pytest.raises(TrainingError, match="batch_size 31 does not divide by 2 x 1 workers; choose a multiple"):
        fit(*walked, tmp_path / "model", override(config, {"train": {"batch_size": 31}}), silent)


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_each_precision_leaves_fp32_weights(tmp_path, walked, config, precision):
    config = override(config, {"train": {"epochs": 1, "precision": precision}})
    fit(*walked, tmp_path / "model", config, silent)
    assert {value.dtype for value in weights(tmp_path / "model").values()} == {torch.float32}
    vectors = Embedder(tmp_path / "model").queries(["tea"])
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors) == pytest.approx(1, abs=1e-3)


def test_a_graph_without_edges_trains_on_images_and_texts_alone(tmp_path, catalogue_of, picture, config):
    pins = [{"pin_id": f"p{i}", "image": picture(i), "title": f"number {i}"} for i in range(60)]
    result = fit(*catalogue_of(pins), tmp_path / "model", override(config, {"train": {"epochs": 1}}), silent)
    assert math.isfinite(result["loss"])
    assert "neighbour" not in result


def two_shares() -> Optimizers:
    """One weight at the full learning rate, one at half of it."""
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "share": share} for share in (1.0, 0.5)]
    return Optimizers([torch.optim.AdamW(groups)])


@pytest.mark.parametrize(
    ("step", "share"),
    [(0, 0.1), (4, 0.5), (9, 1.0), (10, 1.0), (55, 0.5), (99, 0.5 * (1 + math.cos(math.pi * 89 / 90)))],
)
def test_the_learning_rate_by_hand(step, share):
    """100 steps, 10 of warm-up: a tenth more each step, then half a cosine, halfway down at step 10 + 45."""
    optimizer = two_shares()
    config = TrainConfig(learning_rate=2.0, warmup=0.1)
    assert loop.set_learning_rate(optimizer, config, step, 100) == pytest.approx(2.0 * share)
    assert [group["lr"] for group in optimizer.groups] == [pytest.approx(2.0 * share), pytest.approx(share)]


def test_one_step_and_no_warm_up():
    optimizer = two_shares()
    assert loop.set_learning_rate(optimizer, TrainConfig(warmup=0.0), 0, 1) == 1e-3
    assert loop.set_learning_rate(optimizer, TrainConfig(warmup=1.0), 0, 1) == 1e-3


@pytest.fixture(scope="module")
def anchors(walked, embedded, tmp_path_factory):
    """The vectors of the model of the fixture `trained`, as an anchors.parquet."""
    tables = [pq.read_table(shard, columns=["pin_id", "pin"]) for shard in sorted((embedded / "pins").glob("*"))]
    file = tmp_path_factory.mktemp("anchors") / "anchors.parquet"
    pq.write_table(pa.concat_tables(tables).rename_columns(["pin_id", "vector"]), file)
    return file


def test_with_anchors_new_vectors_come_nearer_to_former_ones(tmp_path, walked, config, embedded, anchors):
    """Fresh Pins, which no training saw; another seed."""
    fresh, former = read_fresh(walked[1]), read_vectors(embedded, "pin")
    near = {}
    for name, file in (("free", None), ("anchored", anchors)):
        asked = {"seed": 5, "train": {"compatible_with": "1" if file else ""}}
        fit(*walked, tmp_path / name, override(config, asked), silent, anchors=file)
        embed(walked[0], tmp_path / name, tmp_path / f"{name}-vectors")
        near[name] = (read_vectors(tmp_path / f"{name}-vectors", "pin") * former).sum(1)[fresh].mean()
    assert near["anchored"] > near["free"] + 0.2
    assert "compatible" in curves(tmp_path / "anchored")[-1]


def test_compatible_with_needs_anchors_and_a_fused_vector(tmp_path, walked, short, anchors):
    asked = override(short, {"train": {"compatible_with": "1"}})
    with pytest.raises(TrainingError, match="only `pinclip run`, `submit` and schedules know the vectors of versions"):
        fit(*walked, tmp_path / "model", asked, silent)
    unweighted = override(asked, {"objective": {"compatible": 0}})
    with pytest.raises(TrainingError, match=r"objective.compatible, the weight of its loss, is 0; set it above 0"):
        fit(*walked, tmp_path / "model", unweighted, silent, anchors=anchors)
    towers_alone = override(asked, {"objective": {"neighbour": 0, "text_fused": 0}})
    with pytest.raises(TrainingError, match=r"needs a fused vector, .* set objective.text_fused above 0"):
        fit(*walked, tmp_path / "model", towers_alone, silent, anchors=anchors)
