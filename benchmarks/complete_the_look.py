"""Complete the look: given the Pins of a board, is one that was taken away among the first ten suggested?

    python benchmarks/complete_the_look.py --run runs/latest --catalogue catalogues/emoji --clip clip-arm

Recall@10 of PinCLIP's vectors beside those of the CLIP objective and beside popularity, over all Pins and with the
fresh Pins as the only candidates, with 95 % intervals (bootstrap over boards) and paired gains. Taken away are saves
that no training was told (model/graph/splits.py), as model/evaluation/completion.py does it; popularity counts all
other boards.

A candidate is scored by its mean cosine with the nearest 1, 3, 10 or all Pins of the board, and for CLIP by its image,
text or mean vectors. For each side the best of these is chosen on one half of the boards and measured on the other.

`--clip`: a folder for the CLIP arm of the run's configuration, trained here if it is not there.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from components.configuration import Configuration
from components.studies.data import StudyData
from model.config import Config, clip_baseline
from model.data.catalogue import Catalogue
from model.embedding.embedder import embed
from model.evaluation.bootstrap import Bootstrap, ends
from model.evaluation.completion import ALL, BoardRanking, by_popularity, by_vectors, completed, saves_left_out
from model.evaluation.evaluate import ModelVectors, clip_vectors, pinclip_vectors
from model.graph.neighbourhood import read_edges, read_fresh
from model.graph.splits import group_names
from model.training.loop import fit

K, NEAREST = 10, (1, 3, 10, ALL)
OURS, CLIP, POPULARITY = "PinCLIP", "CLIP objective", "popularity"


@dataclass(frozen=True)
class Looks:
    """Boards as rows of Pins, and what may be asked of them."""

    pins: list[np.ndarray]  # of each board
    told: list[np.ndarray]  # bool: was training told of the save?
    groups_N: np.ndarray
    fresh_N: np.ndarray

    @property
    def saves_N(self) -> np.ndarray:
        return np.bincount(np.concatenate(self.pins), minlength=len(self.groups_N))


def read_looks(prepared: Path, neighbours: Path) -> Looks:
    edges, fresh_N = read_edges(neighbours), read_fresh(neighbours)
    names = group_names(Catalogue(prepared / "catalogue").read("pins", ["pin_id", "group_id"]))
    pairs, first = np.unique(np.stack([edges.other, edges.pin], axis=1), axis=0, return_index=True)
    starts = np.flatnonzero(np.diff(pairs[:, 0])) + 1
    told = np.split(~edges.held_out[first], starts)
    return Looks(np.split(pairs[:, 1], starts), told, np.unique(names, return_inverse=True)[1], fresh_N)


def contenders(
    ours: ModelVectors, theirs: ModelVectors, looks: Looks
) -> tuple[list[tuple[str, str]], list[BoardRanking]]:
    """(side, how) of every way to score that is tried, and the rankings that try them."""
    everything, named, rankings = np.arange(len(looks.groups_N)), [], []
    for side, names, space in ((OURS, ("pin",), ours), (CLIP, ("image", "text", "mean"), theirs)):
        for name, column in zip(names, space.pins, strict=True):
            rankings.append(by_vectors(column[everything], NEAREST))
            named += [(side, f"{name}, {'all Pins' if n == ALL else f'{n} nearest'}") for n in NEAREST]
    return [*named, (POPULARITY, "saves on other boards")], [*rankings, by_popularity(looks.saves_N)]


def measured(
    looks: Looks, rankings: list[BoardRanking], fresh: bool, most: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Hits (Q, W) and the boards (Q,) of at most `most` saves; `fresh`: fresh Pins alone are taken and found."""
    candidates_N = looks.fresh_N if fresh else np.ones(len(looks.fresh_N), dtype=bool)
    asked = [(b, int(pin)) for b, pins_B in enumerate(looks.pins)
             for pin in pins_B[~looks.told[b] & candidates_N[pins_B]]]  # fmt: skip
    drawn = np.sort(np.random.default_rng(seed).permutation(len(asked))[:most])
    by_board: dict[int, list[int]] = {}
    for number in drawn:
        by_board.setdefault(asked[number][0], []).append(asked[number][1])
    hits, boards = [], []
    for board, left in by_board.items():
        questions = list(saves_left_out(looks.pins[board], left, looks.groups_N, candidates_N))
        if questions:
            hits.append(completed(looks.pins[board], questions, rankings, K))
            boards += [board] * len(questions)
    return np.concatenate(hits), np.array(boards)


def report(named: list[tuple[str, str]], hits_QW: np.ndarray, boards_Q: np.ndarray, seed: int) -> list[str]:
    """Table lines of one scope: for each side its best way on half of the boards, measured on the others."""
    half = np.isin(boards_Q, np.random.default_rng(seed).permutation(np.unique(boards_Q))[::2])
    recall_W = hits_QW[half].mean(axis=0)
    best = [max((r for r, (side, _) in enumerate(named) if side == one), key=lambda r: recall_W[r])
            for one in (OURS, CLIP, POPULARITY)]  # fmt: skip
    hits, ones = hits_QW[~half][:, best], np.ones((np.count_nonzero(~half), 1))
    drawn_DS = Bootstrap.over(boards_Q[~half], seed).ratios(hits, ones)
    lines = []
    for column, (way, recall) in enumerate(zip(best, hits.mean(axis=0), strict=True)):
        low, high = ends(drawn_DS[:, column])
        gain = ""
        if named[way][0] == CLIP:  # popularity finds next to nothing: no gain over it says anything
            least, most = ends(drawn_DS[:, 0] / drawn_DS[:, column] - 1)
            gain = f"{hits[:, 0].mean() / recall - 1:+.1%} ({least:+.1%} to {most:+.1%})"
        lines.append(f"| {' | '.join(named[way])} | {recall:.3f} ({low:.3f} to {high:.3f}) | {gain} |")
    return [*lines, f"\n{np.count_nonzero(~half):,} saves of {len(np.unique(boards_Q[~half])):,} boards"]


def baseline_vectors(prepared: Path, neighbours: Path, out: Path, config: Config) -> Path:
    if not (out / "vectors").is_dir():
        fit(prepared, neighbours, out / "model", clip_baseline(config), lambda point: None)
        embed(prepared, out / "model", out / "vectors")
    return out / "vectors"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=Path("runs/latest"))
    parser.add_argument("--catalogue", type=Path, required=True, help="the one that the run was made with")
    parser.add_argument("--clip", type=Path, default=Path("clip-arm"))
    parser.add_argument("--saves", type=int, default=2_000, help="left out, at most")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    config = Configuration.from_json((args.run / "config.json").read_text(encoding="utf-8"))
    prepared, neighbours = StudyData.of(args.catalogue, args.clip).prepared(config), args.run / "neighbours"
    theirs = clip_vectors(baseline_vectors(prepared, neighbours, args.clip, config))
    looks = read_looks(prepared, neighbours)
    named, rankings = contenders(pinclip_vectors(args.run / "vectors"), theirs, looks)
    for scope in ("all", "fresh"):
        hits_QW, boards_Q = measured(looks, rankings, scope == "fresh", args.saves, args.seed)
        print(f"\n| {scope} Pins | chosen | Recall@{K} | gain of {OURS} |\n| --- | --- | ---: | ---: |")
        print("\n".join(report(named, hits_QW, boards_Q, args.seed)), flush=True)
        chosen = {f"{side}: {how}": round(float(x), 4) for (side, how), x in zip(named, hits_QW.mean(0), strict=True)}
        print(f"all ways, both halves: {json.dumps(chosen)}", flush=True)


if __name__ == "__main__":
    main()
