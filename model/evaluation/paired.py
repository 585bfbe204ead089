"""Two models on the same queries: the mean difference of their recall with its interval (paired bootstrap)."""

from typing import Any

import numpy as np

from model.evaluation.bootstrap import Bootstrap, ends


def difference(ours_Q: np.ndarray, theirs_Q: np.ndarray, groups_Q: np.ndarray, seed: int, name: str) -> dict[str, Any]:
    """queries, groups, `ours`, theirs under `name`, and the difference with the ends of its 95 % interval.

    Recalls of each query of both models; both are drawn together, and queries of one group go together.
    """
    gap_Q = ours_Q - theirs_Q
    means_D = Bootstrap.over(groups_Q, seed).ratios(gap_Q[:, None], np.ones((len(gap_Q), 1)))[:, 0]
    low, high = ends(means_D) or (float(gap_Q.mean()),) * 2
    figures = {"ours": ours_Q.mean(), name: theirs_Q.mean(), "difference": gap_Q.mean(), "low": low, "high": high}
    rounded = {key: round(float(value), 5) for key, value in figures.items()}
    return {"queries": len(gap_Q), "groups": len(np.unique(groups_Q)), **rounded}
