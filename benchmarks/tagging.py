"""Are the scores of tags probabilities? Their expected calibration error on Pins that no training saw.

    python benchmarks/tagging.py --run runs/latest --catalogue catalogues/emoji

The run's fresh Pins, by their picture, their texts, or both; the variants of a Pin are no neighbours of it. Weights are
fitted on one half of them (by group), all figures are of the other half. Printed by what is given and by kind of word:
the error over all proposals, and over those of at least 0.3, which are shown; of these the number a Pin, their mean
score and the share that is right. Then the shown ones by bin of scores.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from components.spaces.tag_calibration import held_out_proposals
from model.data.catalogue import Catalogue
from model.tags.calibration import FLOOR, TagCalibration, reliability
from model.tags.held_out import Judged, calibrated

HEADS = ("given", "kind", "error", "error, shown", "shown", "mean score", "right")


def rows(found: Mapping[str, Judged], calibration: TagCalibration) -> list[str]:
    """Table lines of all kinds together (as the space keeps them) and of each."""
    lines = []
    for given, proposals in found.items():
        asked = proposals.where(~proposals.teaches_P)
        lines.append(_line(given, "all", calibration.figures[given]))
        for kind in sorted(calibration.weights[given]):
            own = asked.where(asked.kinds_P == kind)
            scores_P = calibration.scores(given, own.kinds_P.tolist(), own.features_PF)
            lines.append(_line(given, kind, reliability(scores_P, own.right_P)))
        untold = sorted(set(np.unique(asked.kinds_P)) - set(calibration.weights[given]))
        lines += [f"| {given} | {kind} | too few right proposals: never shown | | | | |" for kind in untold]
    return lines


def _line(given: str, kind: str, figures: Mapping[str, float]) -> str:
    shown = f"{figures['shown_score']} | {figures['shown_right']}" if figures["shown"] else "| "
    return f"| {given} | {kind} | {figures['error']} | {figures['shown_error']} | {figures['shown']:,} | {shown} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=Path("runs/latest"))
    parser.add_argument("--catalogue", type=Path, required=True, help="the one that the run was made with")
    args = parser.parse_args()
    held_out, found = held_out_proposals(args.run / "quantized", Catalogue(args.catalogue))
    calibration = calibrated(found, held_out.min_board_pins)
    print(
        f"{len(held_out.ids):,} held-out Pins, of which about half are judged; scores of at least {FLOOR} are shown\n"
    )
    print(f"| {' | '.join(HEADS)} |\n| --- | --- |{' ---: |' * (len(HEADS) - 2)}")
    print("\n".join(rows(found, calibration)))
    for given, figures in calibration.figures.items():
        bins = [f"{score:.2f} → {right:.2f} ({count:,})" for count, score, right in figures["bins"] if count]
        print(f"\n{given}, mean score → share that is right, by bin: " + ", ".join(bins))


if __name__ == "__main__":
    main()
