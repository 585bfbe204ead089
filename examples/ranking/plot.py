"""The gains of the embedding features as a picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

LABELS = {"ndcg": "NDCG@10", "saves": "saves@10"}


def plot(results: Mapping[str, Any], path: Path) -> None:
    """A bar for each scope and figure over each ranker without the features, with its interval."""
    names = [name for name in results["all"] if name.startswith("gain")]
    bars = [(scope, figure) for scope in ("all", "fresh") for figure in LABELS]
    drawing, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    for shift, name in enumerate(names):
        gains = [results[scope][name][figure] for scope, figure in bars]
        places = [place + 0.38 * (shift - 0.5) for place in range(len(bars))]
        values = [100 * gain["value"] for gain in gains]
        ends = [[100 * abs(gain[end] - gain["value"]) for gain in gains] for end in ("low", "high")]
        axes.bar(places, values, 0.36, yerr=ends, capsize=3, label=name)
    axes.axhline(15, color="grey", linestyle=":", linewidth=1)
    axes.set_xticks(range(len(bars)), [f"{scope} Pins\n{LABELS[figure]}" for scope, figure in bars])
    axes.set_ylabel("gain, %")
    axes.legend(frameon=False)
    drawing.savefig(path, dpi=120)
    plt.close(drawing)
