"""Which weights of a rerank repeat least, for the same utility? What the defaults of DiversificationConfig stand on.

    python benchmarks/rerank_weights.py --run runs/latest --catalogue catalogues/emoji

Requests, candidates and signals are those of benchmarks/diversification.py --catalogue. What counts as a repetition is
in no signal: a Pin whose group (the catalogue's group_id: another drawing of the same thing) or whose value of a slice
was shown in one of the ten slots before. A row a set of weights: the share of such Pins in 100 slots where 98, 95 and
90 % of the utility is kept, between two betas.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np
from diversification import served

from model.data.catalogue import SLICE_PREFIX, Catalogue
from model.diversification import ssd
from model.diversification.candidates import Candidates
from model.diversification.config import DiversificationConfig
from model.diversification.slate import slate_figures
from model.graph.splits import group_names

BETAS = (0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
KEPT = (0.98, 0.95, 0.9)
SLOTS, CANDIDATES, TASTES = 100, 1_000, 3
# visual, text, graph; cost of a semantic ID at beta 1
TRIED = (
    (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (1, 0, 0, 0.25),
    (1, 1, 1, 0), (1, 1, 1, 0.25), (1, 1, 1, 0.5), (2, 1, 1, 0), (1, 2, 1, 0), (1, 1, 2, 0), (1, 1, 0, 0), (1, 0, 1, 0),
)  # fmt: skip


def labels(catalogue: Catalogue, ids: list[str]) -> dict[str, np.ndarray]:
    """Numbers of the group and of each slice's value, by Pin."""
    names = [name for name in catalogue.columns("pins") if name.startswith(SLICE_PREFIX)]
    pins = catalogue.read("pins", ["pin_id", "group_id", *names])
    place = {pin_id: row for row, pin_id in enumerate(pins["pin_id"].to_pylist())}
    rows = np.array([place[pin_id] for pin_id in ids])
    columns = {"group": group_names(pins)} | {name: pins[name].to_pylist() for name in names}
    return {
        name: np.unique([str(one) for one in values], return_inverse=True)[1][rows] for name, values in columns.items()
    }


def requests(pin_NE: np.ndarray, count: int, seed: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(rows of the candidates, their utility): likeness to three Pins drawn by chance."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        tastes = rng.choice(len(pin_NE), size=TASTES, replace=False)
        utility_N = (pin_NE @ pin_NE[tastes].T).max(1)
        utility_N[tastes] = -np.inf
        rows = np.argsort(-utility_N, kind="stable")[:CANDIDATES]
        yield rows, utility_N[rows]


def repeats(labels_N: np.ndarray, order: np.ndarray, window: int) -> float:
    shown_T = labels_N[order]
    behind_TT = np.subtract.outer(np.arange(len(order)), np.arange(len(order)))
    return float((np.equal.outer(shown_T, shown_T) & (behind_TT > 0) & (behind_TT <= window)).any(1).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=Path("runs/latest"))
    parser.add_argument("--catalogue", type=Path, required=True, help="the one that the run was made with")
    parser.add_argument("--requests", type=int, default=20)
    args = parser.parse_args()
    catalogue = Catalogue(args.catalogue)
    pool, _, ids = served(args.run / "vectors", args.run / "neighbours", catalogue)
    judges, asked = labels(catalogue, ids), list(requests(pool.pin_NE, args.requests))
    print(f"| visual, text, graph, ID | {' | '.join(f'{name} at {kept}' for name in judges for kept in KEPT)} |")
    print(f"| --- |{' ---: |' * (len(judges) * len(KEPT))}")
    for visual, text, graph, cost in TRIED:
        config = DiversificationConfig(visual=visual, text=text, graph=graph)
        points = []
        for beta in BETAS:
            found = []
            for rows, utility_N in asked:
                signals = [x[rows] for x in (pool.visual_NE, pool.text_NE, pool.graph_NG)]
                candidates = Candidates(utility_N, *signals, ids=pool.ids_NL[rows])
                order = ssd.rerank(candidates, SLOTS, replace(config, beta=beta, prefix_cost=cost * beta))
                kept = slate_figures(candidates, order, config)["utility"]
                found.append([kept, *(repeats(one[rows], order, config.window) for one in judges.values())])
            points.append([fmean(column) for column in zip(*found, strict=True)])
        kept_B, *repeated = np.array(points).T
        cells = [f"{np.interp(-kept, -kept_B, one_B):.3f}" for one_B in repeated for kept in KEPT]
        print(f"| {visual}, {text}, {graph}, {cost} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
