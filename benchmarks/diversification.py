"""What less repetition costs: utility against diversity of SSD, MMR and a greedy DPP, and the milliseconds of each.

    export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1                    # the promise is for one core
    python benchmarks/diversification.py --out /tmp/diversification    # generated Pins
    python benchmarks/diversification.py --out DIR --vectors RUN/vectors --neighbours RUN/neighbours
    python benchmarks/diversification.py --out DIR --vectors RUN/vectors --neighbours RUN/neighbours --catalogue FOLDER

A request is a person with three Pins drawn by seed. Candidates are the Pins most like any of the three, and that
likeness is their utility. Visual, text and graph likeness are the vectors of image and text and the walks'
neighbours; semantic IDs are learned from the Pin vectors of training Pins. Fresh Pins have no neighbours. With
--catalogue the signals are those of the service: Pin vectors, words and boards in common; "signals" is the time that it
takes to look the latter two up. pyversity (PyPI) reorders the same rows, of the same likeness, with its own SSD.
--out gets diversification.json and diversification.png. Every method reorders the same requests over the same
likeness; each point of a curve is one beta. Milliseconds are medians over whole calls from arrays to order, on the
default settings; core milliseconds do not grow when other work shares the machine as much as those of the wall do.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
from pyversity import diversify

from components.report.loss_curves import CLIP, OURS, RULE, STYLE
from model.config import GraphConfig
from model.data.catalogue import Catalogue
from model.diversification import dpp, mmr, ssd
from model.diversification.candidates import Candidates
from model.diversification.catalogue_signals import CatalogueSignal
from model.diversification.config import DiversificationConfig
from model.diversification.graph_signal import graph_vectors
from model.diversification.similarity import Similarity
from model.diversification.slate import slate_figures
from model.embedding.affine import unit_length
from model.embedding.stored import read_vectors
from model.features.semantic_ids import learn
from model.files import replaced, write_json
from model.graph.neighbourhood import read_pairs, read_training
from model.graph.walks import Adjacency, random_walk_neighbours

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def _pyversity(candidates: Candidates, slots: int, config: DiversificationConfig) -> np.ndarray:
    """Its trade-off d stands for β / (1 + β): of utility in standard deviations and volume both weigh 1 at β = 1."""
    features_ND = Similarity.of(candidates, config).features_ND
    share = config.beta / (1 + config.beta)
    return diversify(features_ND, candidates.utility, slots, "ssd", share, window=config.window).indices


BETAS = (0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
ALIKE = DiversificationConfig()  # what the three can be compared on
ARMS: dict[str, tuple[ModuleType | SimpleNamespace, DiversificationConfig]] = {
    "SSD": (ssd, ALIKE),
    "SSD with IDs": (ssd, replace(ALIKE, prefix_cost=0.25)),
    "cumulative SSD": (ssd, replace(ALIKE, exposure="cumulative")),
    "MMR": (mmr, ALIKE),
    "DPP": (dpp, ALIKE),
    "pyversity SSD": (SimpleNamespace(rerank=_pyversity), ALIKE),
}
LOOKS = {
    "SSD": {"color": OURS, "marker": "o", "mfc": OURS},
    "SSD with IDs": {"color": OURS, "marker": "o", "mfc": "white", "ls": (0, (4, 2))},
    "cumulative SSD": {"color": OURS, "marker": "D", "mfc": "white"},
    "MMR": {"color": "#b4572a", "marker": "s", "mfc": "white"},
    "DPP": {"color": CLIP, "marker": "^", "mfc": "white"},
    "pyversity SSD": {"color": "#5d8a4e", "marker": "v", "mfc": "white"},
}
PANELS = {
    "window_similarity": "likeness within a window of 10",
    "list_similarity": "likeness within the list",
    "prefixes": "distinct first codes of IDs",
}
COMPARED = (0.99, 0.97, 0.95)  # utilities that are kept, at which the methods are compared
TASTES = 3  # Pins that stand for a person
HIDDEN = 0.3  # share of the Pins whose text and neighbours are hidden


@dataclass(frozen=True)
class Pool:
    """All Pins: vectors of each signal by row, zeros where one is missing; codes; who was trained on."""

    pin_NE: np.ndarray
    visual_NE: np.ndarray
    text_NE: np.ndarray
    graph_NG: np.ndarray
    ids_NL: np.ndarray

    def request(self, rng: np.random.Generator, count: int) -> tuple[Candidates, np.ndarray]:
        """The candidates of one person, most useful first, and which of them are fresh."""
        tastes = rng.choice(len(self.pin_NE), size=TASTES, replace=False)
        utility_N = (self.pin_NE @ self.pin_NE[tastes].T).max(1)
        utility_N[tastes] = -np.inf
        rows = np.argsort(-utility_N, kind="stable")[: min(count, len(utility_N) - TASTES)]
        signals = [x[rows] for x in (self.visual_NE, self.text_NE, self.graph_NG)]
        return Candidates(utility_N[rows], *signals, ids=self.ids_NL[rows]), ~self.graph_NG[rows].any(1)


def served(
    vectors: Path, neighbours: Path, catalogue: Catalogue
) -> tuple[Pool, Callable[[np.ndarray], Any], list[str]]:
    """(the Pins with the signals that the service has of them, what looks two of these up, the Pins' ids)"""
    pin_NE, shards = read_vectors(vectors, "pin"), sorted((vectors / "pins").glob("*.parquet"))
    ids = [one for shard in shards for one in pq.read_table(shard, columns=["pin_id"])["pin_id"].to_pylist()]
    signals = CatalogueSignal.words(catalogue), CatalogueSignal.boards(catalogue)

    def look_up(rows: np.ndarray) -> list[np.ndarray]:
        found = signals[0].pins.rows([ids[row] for row in rows])
        return [signal.of_rows(found, least=2) for signal in signals]

    pool = Pool(pin_NE, pin_NE, *look_up(np.arange(len(ids))), _ids(pin_NE, read_training(neighbours)))
    return pool, look_up, ids


def stored(vectors: Path, neighbours: Path) -> Pool:
    pin_NE, visual_NE, text_NE = (read_vectors(vectors, name) for name in ("pin", "image", "text"))
    graph_NG = graph_vectors(read_pairs(neighbours), len(pin_NE), dim=pin_NE.shape[1])
    ids_NL = _ids(pin_NE, read_training(neighbours))
    return Pool(pin_NE, visual_NE, text_NE, graph_NG, ids_NL)


def generated(pins: int, dim: int, seed: int = 0) -> Pool:
    """Pins of topics within themes; boards gather a topic; a fifth is fresh and a tenth has no text."""
    rng = np.random.default_rng(seed)
    topic_N, fresh_N = rng.integers(pins // 40, size=pins), rng.random(pins) < 0.2
    themes, topics = rng.normal(size=(pins // 400 + 1, dim)), 0.8 * rng.normal(size=(pins // 40, dim))
    centre_NE = (themes[np.arange(pins // 40) % len(themes)] + topics)[topic_N]
    visual_NE, text_NE = (unit_length((centre_NE + rng.normal(size=(pins, dim))).astype(np.float32)) for _ in range(2))
    text_NE[rng.random(pins) < 0.1] = 0
    pin_NE = unit_length(visual_NE + text_NE)
    saved = np.repeat(np.flatnonzero(~fresh_N), 3).astype(np.int32)
    boards = (topic_N[saved] * 5 + rng.integers(5, size=len(saved))).astype(np.int32)
    walked = random_walk_neighbours(Adjacency.of(saved, boards, pins), GraphConfig(), seed)
    return Pool(pin_NE, visual_NE, text_NE, graph_vectors(walked, pins, dim), _ids(pin_NE, ~fresh_N))


def _ids(pin_NE: np.ndarray, training_N: np.ndarray) -> np.ndarray:
    taught = pin_NE[training_N]
    return learn(taught, levels=3, size=min(64, len(taught))).encode(pin_NE)


def curve(name: str, requests: list[tuple[Candidates, np.ndarray]], slots: int) -> list[dict[str, Any]]:
    """A point for every beta: means of the figures of model/diversification/slate.py, and fresh Pins shown."""
    method, config = ARMS[name]
    points = []
    for beta in BETAS:
        found = []
        for candidates, fresh_N in requests:
            order = method.rerank(candidates, slots, replace(config, beta=beta))
            found.append({**slate_figures(candidates, order, config), "fresh": fresh_N[order].mean()})
        points.append({"beta": beta, **{key: round(fmean(one[key] for one in found), 5) for key in found[0]}})
    return points


def hidden(requests: list[tuple[Candidates, np.ndarray]], slots: int, seed: int = 0) -> dict[str, dict[str, float]]:
    """Text and neighbours of HIDDEN of the Pins that have both are hidden at random, as if those were seconds old.

    By method, default beta: the share of those Pins among the shown, and what it is when everything is known; the
    likeness within a window, by all signals, of both lists.
    """
    rng, found = np.random.default_rng(seed), {name: [] for name in ARMS}
    for candidates, _ in requests:
        known = _taken(candidates, candidates.text.any(1) & candidates.graph.any(1))
        hidden_N = rng.random(len(known)) < HIDDEN
        text_NE, graph_NG = (np.where(hidden_N[:, None], 0, x) for x in (known.text, known.graph))
        fewer, count = replace(known, text=text_NE, graph=graph_NG), min(slots, len(known))
        for name, (method, config) in ARMS.items():
            orders = [method.rerank(one, count, config) for one in (fewer, known)]
            alike = [slate_figures(known, order, config)["window_similarity"] for order in orders]
            found[name].append([*(hidden_N[order].mean() for order in orders), *alike])
    names = ("shown", "shown_if_known", "window_similarity", "window_similarity_if_known")
    return {
        name: {key: round(float(value), 5) for key, value in zip(names, np.mean(rows, axis=0), strict=True)}
        for name, rows in found.items()
    }


def _taken(candidates: Candidates, rows: np.ndarray) -> Candidates:
    return Candidates(
        candidates.utility[rows], **{name: x[rows] for name, x in candidates.signals.items()}, ids=candidates.ids[rows]
    )


def timing(requests: list[tuple[Candidates, np.ndarray]], slots: int, repeats: int) -> dict[str, dict[str, float]]:
    """Milliseconds a call by method, and how many times SSD's; the methods take turns."""
    wall, cores = ({name: [] for name in ARMS} for _ in range(2))
    for turn in range(repeats):
        for name, (method, config) in ARMS.items():
            start, core_start = time.perf_counter(), time.process_time()
            method.rerank(requests[turn % len(requests)][0], slots, config)
            wall[name].append(time.perf_counter() - start)
            cores[name].append(time.process_time() - core_start)
    return {
        name: {
            "ms": round(1000 * median(wall[name]), 2),
            "core_ms": round(1000 * median(cores[name]), 2),
            "fastest_ms": round(1000 * min(wall[name]), 2),
            "times_ssd": round(median(wall[name]) / median(wall["SSD"]), 3),
        }
        for name in ARMS
    }


def plot(curves: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """A panel a kind of diversity, a line a method; further right is more diverse in each."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9.0, 3.4), layout="constrained", facecolor="white")
        panels = dict(zip(PANELS, figure.subplots(1, len(PANELS), sharey=True), strict=True))
        for key, axes in panels.items():
            for name, points in curves.items():
                style = {"ms": 4.5, "lw": 1.4, **LOOKS[name], "label": name}
                axes.plot([point[key] for point in points], [point["utility"] for point in points], **style)
            _dress(axes, PANELS[key], turned=key != "prefixes")
        first = panels["window_similarity"]
        first.set_ylabel("utility kept (1: all)")
        figure.legend(*first.get_legend_handles_labels(), frameon=False, loc="outside upper right", ncols=len(curves))
        with replaced(path) as scratch:
            figure.savefig(scratch, format="png", dpi=160)


def _dress(axes: "Axes", label: str, turned: bool) -> None:
    axes.set_xlabel(label + ("  (less →)" if turned else "  (more →)"))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=RULE, lw=0.6)
    axes.set_axisbelow(True)
    if turned:
        axes.invert_xaxis()


def _requests(pool: Pool, count: int, candidates: int, seed: int = 0) -> Iterator[tuple[Candidates, np.ndarray]]:
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield pool.request(rng, candidates)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--vectors", type=Path, help="a run's vectors; without them Pins are generated")
    parser.add_argument("--neighbours", type=Path, help="the run's neighbours")
    parser.add_argument("--catalogue", type=Path, help="the run's catalogue: the signals of the service")
    parser.add_argument("--pins", type=int, default=20_000, help="generated Pins")
    parser.add_argument("--dim", type=int, default=256, help="of generated vectors")
    parser.add_argument("--requests", type=int, default=30)
    parser.add_argument("--candidates", type=int, default=1000)
    parser.add_argument("--slots", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=100, help="timed calls of each method")
    args = parser.parse_args()
    if bool(args.vectors) != bool(args.neighbours) or (args.catalogue and not args.vectors):
        parser.error("--vectors and --neighbours go together, and with --catalogue.")
    look_up: Callable[[np.ndarray], Any] | None = None
    if args.catalogue:
        pool, look_up, _ = served(args.vectors, args.neighbours, Catalogue(args.catalogue))
    else:
        pool = stored(args.vectors, args.neighbours) if args.vectors else generated(args.pins, args.dim)
    requests = list(_requests(pool, args.requests, args.candidates))
    curves = {name: curve(name, requests, args.slots) for name in ARMS}
    taken, unknown = timing(requests, args.slots, args.repeats), hidden(requests, args.slots)
    facts = {"pins": len(pool.pin_NE), "dim": pool.pin_NE.shape[1], "requests": len(requests), "slots": args.slots,
             "candidates": len(requests[0][0]), "threads": os.environ.get("OPENBLAS_NUM_THREADS", "all"),
             "fresh_candidates": round(fmean(fresh.mean() for _, fresh in requests), 5)}  # fmt: skip
    write_json(args.out / "diversification.json", {**facts, "timing": taken, "hidden": unknown, "curves": curves})
    plot(curves, args.out / "diversification.png")
    print(", ".join(f"{key} {value}" for key, value in facts.items()))
    show(taken, unknown, curves)
    if look_up:
        rows, start = np.random.default_rng(0).permutation(len(pool.pin_NE))[: args.candidates], time.process_time()
        for _ in range(args.repeats):
            look_up(rows)
        print(f"signals       {1000 * (time.process_time() - start) / args.repeats:25.2f} core ms")


def show(taken: dict[str, dict], unknown: dict[str, dict], curves: dict[str, list[dict]]) -> None:
    for name, numbers in taken.items():
        print(f"{name:<14}{numbers['ms']:8.2f} ms{numbers['core_ms']:8.2f} core ms"
              f"{numbers['fastest_ms']:8.2f} ms fastest{numbers['times_ssd']:8.2f} × SSD")  # fmt: skip
    for name, numbers in unknown.items():
        print(f"{name:<14}" + "  ".join(f"{key} {value:.3f}" for key, value in numbers.items()))
    for name, points in curves.items():
        for point in points:
            print(f"{name:<14}" + "  ".join(f"{key} {value:.3f}" for key, value in point.items()))
    for utility in COMPARED:
        for name, points in curves.items():
            found = {key: at_utility(points, utility, key) for key in ("window_similarity", "list_similarity")}
            print(f"utility {utility}  {name:<14}" + "  ".join(f"{key} {value:.3f}" for key, value in found.items()))


def at_utility(points: list[dict[str, float]], utility: float, key: str) -> float:
    """The figure where the curve crosses this utility, between two betas."""
    return float(np.interp(-utility, [-point["utility"] for point in points], [point[key] for point in points]))


if __name__ == "__main__":
    main()
