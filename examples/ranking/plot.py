"""The gains of the embedding features as a picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

SCOPES, LABELS = ("all", "fresh"), {"ndcg": "NDCG@10", "saves": "saves@10"}


def plot(results: Mapping[str, Any], path: Path) -> None:
    """A bar for each scope and figure over the ranker without the features, with its interval; 15 % is the target."""
    bars = {
        f"{scope} Pins\n{label}": results[scope]["gain"][figure] for scope in SCOPES for figure, label in LABELS.items()
    }
    values = [100 * gain["value"] for gain in bars.values()]
    ends = [[100 * abs(gain[end] - gain["value"]) for gain in bars.values()] for end in ("low", "high")]
    drawing, axes = plt.subplots(figsize=(6, 3), layout="constrained")
    axes.bar(list(bars), values, 0.5, yerr=ends, capsize=4)
    axes.axhline(15, color="grey", linestyle=":", linewidth=1)
    axes.set_ylabel("gain by embedding features, %")
    drawing.savefig(path, dpi=120)
    plt.close(drawing)
