"""Sliding Spectrum Decomposition (Huang et al., KDD 2021) with the penalty of Pinterest's Home Feed Blender.

Slot by slot the candidate of the highest worth is taken:

    U_i = f(r_i) − β Σ_k w_k (u_k[i])² − γ Σ_j a_j overlap(i, j) − Σ_R c_R 1[i ∈ R] Σ_d 1[t − d ∈ R] / d

over the last `window` Pins j that were shown, where a_j = decay^age is how much slot j still counts (the newest: 1).
  local spectrum   S_jl = √a_j s(j, l) √a_l  =  Σ_k λ_k v_k v_kᵀ. λ_k is how much of spectrum k was shown lately
  u_k[i]           loading of candidate i on spectrum k: Σ_j s(i, j) √a_j v_k[j] / √λ_k
  w_k              (1 + ε) E_k / (ε + λ_k): exposure over spectral mass, softened by ε = `ridge`
  E_k              λ_k; or, where `exposure` is cumulative, Σ_j (u_k[j])² over all Pins j shown so far
  soft spacing     c_R is what a Pin of the set R costs right after another of it; d slots later it costs c_R / d
  overlap          share of the semantic ID's levels that i and j have in common from the first on; γ = `prefix_cost`

Huang's method takes utility plus volume: what is left of candidate i beside the window. With ε → 0 and no decay,
1 − Σ_k w_k u_k² is the square of that rest: a penalty on what is there is a reward for what is not. ε and decay are
ours. The public accounts of the Blender give w_k ∝ E_k / (ε + λ_k), E_k the cumulative exposure, and no more. With
decay in the local spectrum, exposure and mass are one number there. Cumulative, what filled the list before the window
began costs more once it comes back.

A slot costs one matrix–vector product (similarity.py) and the decomposition of a matrix of window × window.
Shape legend: N candidates · W Pins in the window · K spectra of the window, at most W · L levels of a semantic ID ·
R sets of Pins to be spaced
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.diversification.candidates import Candidates
from model.diversification.config import DiversificationConfig
from model.diversification.similarity import Similarity
from model.features.semantic_ids import prefix_numbers

FAINT = 1e-5  # of the strongest spectrum's mass: fainter ones are rounding


class _Window:
    """The Pins shown last, each with its likeness to every candidate and the levels of its ID that they share."""

    def __init__(self, candidates: Candidates, config: DiversificationConfig) -> None:
        self.config = config
        self.similarity = Similarity.of(candidates, config)
        self.prefixes_LN = _prefixes(candidates, config)
        self.spaced_NR = np.zeros((len(candidates), 0)) if candidates.spaced is None else candidates.spaced
        self.count = 0  # of all Pins shown so far; Pin n stands in row n modulo the window
        self.shown_W = np.zeros(config.window, dtype=np.int64)
        self.shown = list[int]()  # in all slots
        self.likeness_WN, self.overlap_WN = np.zeros((2, config.window, len(candidates)), dtype=np.float32)

    def show(self, candidate: int) -> None:
        row = self.count % self.config.window
        self.shown_W[row] = candidate
        self.shown.append(candidate)
        self.likeness_WN[row] = self.similarity.to(candidate)
        if len(self.prefixes_LN):
            self.overlap_WN[row] = (self.prefixes_LN == self.prefixes_LN[:, candidate, None]).sum(0)
            self.overlap_WN[row] /= len(self.prefixes_LN)
        self.count += 1

    def penalty(self) -> np.ndarray:
        """(N,): β Σ_k w_k u_k² + γ Σ_j a_j overlap_j + what crowding costs."""
        filled = min(self.count, self.config.window)
        ages_W = (self.count - 1 - np.arange(filled)) % self.config.window
        recency_W = (self.config.decay**ages_W).astype(np.float32)
        spectra = _Spectra.of(self.likeness_WN[:filled], self.shown_W[:filled], recency_W)
        exposed = self.shown if self.config.exposure == "cumulative" else None
        energy_N = spectra.energy(self.config.ridge, exposed)
        repeats_N = recency_W @ self.overlap_WN[:filled]
        return self.config.beta * energy_N + self.config.prefix_cost * repeats_N + self._crowding(ages_W)

    def _crowding(self, ages_W: np.ndarray) -> np.ndarray:
        """float64 (N,): Σ_R c_R 1[i ∈ R] Σ_d 1[t − d ∈ R] / d; the Pin of age 0 stands at d = 1."""
        shown_WR = self.spaced_NR[self.shown_W[: len(ages_W)]] > 0
        return self.spaced_NR @ ((1 / (ages_W + 1)) @ shown_WR)


def rerank(candidates: Candidates, slots: int, config: DiversificationConfig) -> np.ndarray:
    """int64 (slots,): candidates by row, first slot first. Of equal worth the earlier row is taken.

    Raises:
        RerankError: more slots than candidates.
    """
    candidates.check_slots(slots)
    worth_N, window, order = candidates.gain(config), _Window(candidates, config), np.empty(slots, dtype=np.int64)
    for slot in range(slots):
        order[slot] = picked = int(np.argmax(worth_N - window.penalty()))
        worth_N[picked] = -np.inf
        window.show(picked)
    return order


@dataclass(frozen=True)
class _Spectra:
    mass_K: np.ndarray
    loading_KN: np.ndarray  # u_k √λ_k

    @staticmethod
    def of(likeness_WN: np.ndarray, shown_W: np.ndarray, recency_W: np.ndarray) -> "_Spectra":
        root_W = np.sqrt(recency_W)
        mass_K, basis_WK = np.linalg.eigh(root_W[:, None] * likeness_WN[:, shown_W] * root_W)
        return _Spectra(np.maximum(mass_K, 0), (root_W[:, None] * basis_WK).T @ likeness_WN)

    def energy(self, ridge: float, exposed: Sequence[int] | None) -> np.ndarray:
        """Σ_k w_k u_k², float32 (N,); exposed: the Pins whose exposure counts, where it is not the mass."""
        weight_K = (1 + ridge) / (ridge + self.mass_K)
        if exposed is None:  # the λ_k of w_k and of u_k cancel: no spectrum, however faint, is divided by
            return weight_K @ np.square(self.loading_KN)
        clear_K = self.mass_K > FAINT * self.mass_K.max(initial=0)
        mass_K, loading_KN = self.mass_K[clear_K], self.loading_KN[clear_K]
        exposure_K = np.square(loading_KN[:, exposed]).sum(axis=1) / mass_K
        return (weight_K[clear_K] * exposure_K / mass_K) @ np.square(loading_KN)


def _prefixes(candidates: Candidates, config: DiversificationConfig) -> np.ndarray:
    """(L, N): equal numbers in row l mean equal IDs down to level l; no rows where IDs do not count."""
    if candidates.ids is None or config.prefix_cost == 0:
        return np.zeros((0, len(candidates)), dtype=np.int32)
    return np.ascontiguousarray(prefix_numbers(candidates.ids).T.astype(np.int32))
