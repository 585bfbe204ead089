"""A version that stays comparable with the former one: what do queries, indexes and rankers of the former still find?

    PYTHONPATH=. OMP_NUM_THREADS=2 python benchmarks/compatible.py --catalogue catalogues/emoji --out /tmp/compatible

Three models of one profile (--former names another for the first):

    former      on three quarters of the training Pins, seed 0
    free        on all of them, seed 1, as if there were no former one
    compatible  the same with train.compatible_with: the former model's quantized vectors are its anchors

and the free one once more, turned by the rotation that brings its vectors of the training Pins nearest to the former
ones (orthogonal Procrustes). Recall@10 on fresh Pins: by a version's own queries on its own vectors, and by its queries
on the former's. Then a ranker of examples/ranking, fitted on the former vectors, judged on users and saves that it has
not seen: its tastes stay as they were computed, the Pins' vectors are of the version. A trained model is kept in --out.
"""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import torch
from ranking_home import with_times

from components.studies.data import StudyData
from components.studies.tables import TASKS, markdown
from examples.ranking.features import EMBEDDING, WORDS, SharedWords
from examples.ranking.log import impressions, read_pins, read_saves
from examples.ranking.metrics import Bootstrap, by_user
from examples.ranking.ranker import fit as fit_ranker
from examples.ranking.ranker import score
from model.config import Config, load
from model.config.overrides import override
from model.embedding.affine import unit_length
from model.embedding.embedder import embed
from model.embedding.quantization import quantize
from model.embedding.retrieval import top_k_of_blocks
from model.embedding.stored import vector_column
from model.evaluation.evaluate import ModelVectors, pinclip_vectors
from model.evaluation.questions import K, questions
from model.evaluation.tasks import evaluation_scope
from model.features.tastes import medoids
from model.graph.neighbourhood import read_training
from model.training.anchors import write_anchors
from model.training.loop import fit

PUBLISHED = datetime(2026, 1, 1, tzinfo=UTC)
FORMER, FREE, TURNED, COMPATIBLE = "former", "free", "free, turned", "compatible"
WITHOUT, WITH = "words", "words and vectors"  # what a ranker reads


def trained(data: StudyData, out: Path, name: str, config: Config, seed: int, anchors: Path | None = None) -> Path:
    """The folder of the model's vectors."""
    vectors = out / name / "vectors"
    if not vectors.is_dir():
        prepared, neighbours = data.prepared(config), data.neighbours(config)
        extracted = data.extracted(config, out / "store")
        asked = replace(config, seed=seed)
        fit(prepared, neighbours, out / name / "model", asked, lambda point: None, None, extracted, anchors)
        embed(prepared, out / name / "model", vectors, extracted=extracted)
    return vectors


def published(vectors: Path, training: np.ndarray, config: Config) -> Path:
    """The model's Pin vectors as its space would give them back: quantized."""
    quantized, anchors = vectors.with_name("quantized"), vectors.with_name("anchors.parquet")
    if not anchors.is_file():
        affine = quantize(vectors, training, quantized, config)
        table = pq.read_table(quantized / "pins")
        packed_NB = np.frombuffer(b"".join(table["vector"].to_pylist()), np.uint8).reshape(-1, affine.bytes_per_pin)
        write_anchors(anchors, table["pin_id"].combine_chunks(), affine.vectors(affine.unpack(packed_NB)))
    return anchors


def turned(vectors: ModelVectors, here_NE: np.ndarray, former_NE: np.ndarray) -> ModelVectors:
    """The vectors, rotated so that rows of here_NE lie nearest to those of former_NE."""
    left, _, right = np.linalg.svd(here_NE.T @ former_NE)
    columns = (vectors.pins[0], vectors.image, vectors.text, vectors.query)
    pin, image, text, query = (column.map(lambda x_NE: x_NE @ (left @ right).astype(np.float32)) for column in columns)
    return ModelVectors([pin], image, text, vectors.queries, query)


def recalls(
    prepared: Path, neighbours: Path, asking: ModelVectors, answering: ModelVectors, config: Config
) -> pd.Series:
    """recall@10 on fresh Pins by task: queries of `asking` among vectors of `answering`."""
    found = {}
    for task, one in questions(evaluation_scope(prepared, neighbours, only_fresh=True), asking.queries, config).items():
        candidates = answering.tables[one.answers].blocks(one.candidates)
        places = top_k_of_blocks(asking.tables[one.asks][one.asking], candidates, K, one.excluded)[0]
        found[task] = one.recall(places).mean()
    return pd.Series(found | {"pintext": (found["image_to_text"] + found["text_to_image"]) / 2})


class Ranking:
    """Users' tastes by the former vectors, the lists that they were shown, and a ranker fitted on half of them."""

    def __init__(self, catalogue: Path, former_NE: np.ndarray) -> None:
        pins, saves = read_pins(catalogue), read_saves(catalogue)
        history = saves[saves["saved_at"] <= PUBLISHED]
        self.row = pd.Series(range(len(pins)), index=pins["pin_id"])
        shown = impressions(pins, saves, PUBLISHED, 0)
        self.tastes = {user: self._taste(former_NE, saved) for user, saved in history.groupby("user_id")["pin_id"]}
        words = SharedWords(pins, history)
        lists = [words.of(user, asked["pin_id"].tolist()) for user, asked in shown.groupby("user_id", sort=False)]
        shown = shown.assign(shared_words=np.concatenate(lists))
        self.train, self.test = (shown[shown["train"] == is_train].reset_index(drop=True) for is_train in (True, False))
        self.rankers = {
            WITHOUT: fit_ranker(self.train, WORDS, 0),
            WITH: fit_ranker(self.with_vectors(self.train, former_NE), WORDS + EMBEDDING, 0),
        }

    def _taste(self, former_NE: np.ndarray, saved: pd.Series) -> tuple[np.ndarray, np.ndarray]:
        x_NE = former_NE[self.row[saved]]
        rows_K, weights_K = medoids(x_NE)
        return x_NE[rows_K], weights_K

    def with_vectors(self, rows: pd.DataFrame, vectors_NE: np.ndarray) -> pd.DataFrame:
        """`rows` with the features nearest_taste and mean_taste of the Pins' vectors."""
        nearest, mean = [], []
        for user, pins in rows.groupby("user_id", sort=False)["pin_id"]:
            medoids_KE, weights_K = self.tastes[user]
            cosines_NK = vectors_NE[self.row[pins]] @ medoids_KE.T
            nearest.append(cosines_NK.max(1))
            mean.append(cosines_NK @ weights_K)
        return rows.assign(nearest_taste=np.concatenate(nearest), mean_taste=np.concatenate(mean))

    def ndcg(self, vectors_NE: np.ndarray | None) -> np.ndarray:
        """(users,): NDCG@10 with the Pins' vectors; without any, by the ranker of words alone."""
        if vectors_NE is None:
            return by_user(self.test, score(self.rankers[WITHOUT], self.test, WORDS))["ndcg"].to_numpy()
        rows = self.with_vectors(self.test, vectors_NE)
        return by_user(rows, score(self.rankers[WITH], rows, WORDS + EMBEDDING))["ndcg"].to_numpy()


def recall_table(own: Mapping[str, pd.Series], across: Mapping[str, pd.Series]) -> str:
    rows = []
    for name in own:
        beside = own[FREE] if name != FORMER else own[FORMER]
        rows.append([f"{name}, own queries on own vectors", *_shares(own[name], beside)])
    rows += [[f"{name}, its queries on former vectors", *_shares(across[name], own[FORMER])] for name in across]
    return markdown(["fresh Pins, recall@10", *TASKS.values()], rows)


def _shares(found: pd.Series, beside: pd.Series) -> list[str]:
    return [f"{found[task]:.3f} ({found[task] / beside[task]:.1%})" for task in TASKS]


def ranker_table(ranking: Ranking, vectors: Mapping[str, np.ndarray]) -> str:
    before = ranking.ndcg(vectors[FORMER])
    draws, rows = Bootstrap(len(before), 0), []
    for name, found in {"no vectors": None, **vectors}.items():
        ndcg = ranking.ndcg(found)
        gain = draws.gain(ndcg, before)
        rows.append([name, f"{ndcg.mean():.3f}", f"{gain['value']:+.1%} ({gain['low']:+.1%} to {gain['high']:+.1%})"])
    return markdown(["tastes of the former version, Pins of", "NDCG@10", "against the former"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalogue", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="a folder for data, features and models")
    parser.add_argument("--profile", default="pilot")
    parser.add_argument("--former", help="profile of the former version, if it is another")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE", help="of the new")
    args = parser.parse_args()
    data, config = StudyData.of(args.catalogue, args.out / "data"), load(args.profile, args.overrides)
    earlier = override(load(args.former or args.profile), {"split": {"train_share": 0.75}})
    prepared, neighbours = data.prepared(config), data.neighbours(config)
    folder = trained(data, args.out, f"{FORMER}-{args.former or args.profile}", earlier, 0)
    anchors = published(folder, read_training(data.neighbours(earlier)), earlier)
    asked = override(config, {"train": {"compatible_with": "1"}})
    folders = {
        FORMER: folder,
        FREE: trained(data, args.out, FREE, config, 1),
        COMPATIBLE: trained(data, args.out, f"{COMPATIBLE}-{args.former or args.profile}", asked, 1, anchors),
    }
    vectors = {name: pinclip_vectors(one) for name, one in folders.items()}
    rows = np.flatnonzero(read_training(data.neighbours(earlier)))
    vectors[TURNED] = turned(
        vectors[FREE], vector_column(folders[FREE], "pin")[rows], vector_column(folder, "pin")[rows]
    )
    own = {name: recalls(prepared, neighbours, one, one, config) for name, one in vectors.items()}
    others = {name: one for name, one in vectors.items() if name != FORMER}
    across = {name: recalls(prepared, neighbours, one, vectors[FORMER], config) for name, one in others.items()}
    print(recall_table(own, across), flush=True)
    times = args.out / "catalogue-with-times"
    if not times.is_dir():
        with_times(prepared, neighbours, PUBLISHED, times)
    pins = {name: unit_length(one.pins[0][np.arange(len(one.pins[0]))]) for name, one in vectors.items()}
    print(ranker_table(Ranking(times, pins[FORMER]), pins))


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
