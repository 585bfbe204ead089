"""A vector of each Pin from its neighbours in the walks, whose cosine says how much their neighbourhoods overlap.

Row i of the walk matrix holds the shares of visits of Pin i's neighbours, and as much as the most visited one for the
Pin itself. Roots are taken (so that a few popular neighbours do not decide), then a random projection to `dim`
keeps cosines within about 1 / √dim (Johnson & Lindenstrauss). Shape legend: N Pins · G dimensions
"""

import numpy as np
import scipy.sparse as sp

from model.embedding.affine import unit_length
from model.graph.walks import Neighbours


def graph_vectors(neighbours: Neighbours, pins: int, dim: int = 128, seed: int = 0) -> np.ndarray:
    """float32 (N, G) of length 1; zeros where a Pin has no neighbours, as a fresh Pin has none."""
    strongest_N = np.zeros(pins, dtype=np.float32)
    np.maximum.at(strongest_N, neighbours.pin, neighbours.weight)
    themselves = np.flatnonzero(strongest_N)
    rows, columns = np.r_[neighbours.pin, themselves], np.r_[neighbours.neighbour, themselves]
    weights = np.sqrt(np.r_[neighbours.weight, strongest_N[themselves]])
    visits_NN = sp.csr_matrix((weights, (rows, columns)), shape=(pins, pins))
    signs_NG = np.random.default_rng(seed).integers(2, size=(pins, dim)).astype(np.float32) * 2 - 1
    return unit_length(visits_NN @ signs_NG)
