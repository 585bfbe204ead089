"""Three ways to put candidates in order: each against its definition and by hand, and what must not matter."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.diversification import dpp, mmr, ssd
from model.diversification.candidates import SIGNALS, Candidates
from model.diversification.config import DiversificationConfig
from model.diversification.slate import slate_figures
from model.errors import ConfigError, RerankError

METHODS = [ssd, mmr, dpp]
PLAIN = DiversificationConfig(utility="raw", prefix_cost=0.0, decay=0.5)


def drawn(seed: int, count: int, missing: float = 0.0, dim: int = 4) -> Candidates:
    """Random candidates; each row of text and graph is missing with this chance, the picture never is."""
    rng = np.random.default_rng(seed)
    signals = {name: rng.normal(size=(count, dim + i)).astype(np.float32) for i, name in enumerate(SIGNALS)}
    for name in ("text", "graph"):
        signals[name][rng.random(count) < missing] = 0
    spaced = rng.integers(0, 2, (count, 2)) * [0.3, 1.5]
    ids = rng.integers(0, 3, (count, 3)).astype(np.uint16)
    return Candidates(rng.normal(size=count), **signals, ids=ids, spaced=spaced)


def taken(candidates: Candidates, rows: np.ndarray) -> Candidates:
    fields = {field.name: getattr(candidates, field.name) for field in dataclasses.fields(candidates)}
    return Candidates(**{name: None if value is None else value[rows] for name, value in fields.items()})


def naive_likeness(candidates: Candidates, config: DiversificationConfig) -> np.ndarray:
    """(N, N) by the formula of similarity.py."""
    mixed, known = np.zeros((len(candidates), len(candidates))), np.zeros(len(candidates))
    for name, x in candidates.signals.items():
        has, x = x.any(axis=1), x.astype(float)
        unit = np.divide(x, np.linalg.norm(x, axis=1, keepdims=True), where=has[:, None], out=np.zeros_like(x))
        mixed += getattr(config, name) * unit @ unit.T
        known += getattr(config, name) * has
    return mixed / np.sqrt(np.outer(known, known))


def naive_gain(candidates: Candidates, config: DiversificationConfig) -> np.ndarray:
    return candidates.utility / ((config.utility == "standardized" and candidates.utility.std()) or 1)


def naive_ssd(i: int, shown: list[int], s: np.ndarray, candidates: Candidates, config: DiversificationConfig) -> float:
    """U_i as the text of ssd.py has it: spectra, loadings, weights, overlaps, one at a time."""
    window = shown[-config.window :]
    a = np.array([config.decay ** (len(window) - 1 - place) for place in range(len(window))])
    mass, spectra = np.linalg.eigh(np.sqrt(np.outer(a, a)) * s[np.ix_(window, window)])
    worth = naive_gain(candidates, config)[i]
    for lambda_k, v_k in zip(mass, spectra.T, strict=True):
        projected = sum(s[i, window] * np.sqrt(a) * v_k)
        if lambda_k > 1e-9:  # else nothing of the window lies there
            loading, exposure = projected / np.sqrt(lambda_k), lambda_k
            if config.exposure == "cumulative":
                exposure = sum((s[j, window] * np.sqrt(a) * v_k).sum() ** 2 / lambda_k for j in shown)
            weight = (1 + config.ridge) * exposure / (config.ridge + lambda_k)
            worth -= config.beta * weight * loading**2
    for j, a_j in zip(window, a, strict=True):
        same = np.cumprod(candidates.ids[i] == candidates.ids[j])
        worth -= config.prefix_cost * a_j * same.mean()
    for place, j in enumerate(window):
        for cost, of_j in zip(candidates.spaced[i], candidates.spaced[j], strict=True):
            worth -= cost / (len(window) - place) if of_j else 0
    return worth


def naive_mmr(i: int, shown: list[int], s: np.ndarray, candidates: Candidates, config: DiversificationConfig) -> float:
    return naive_gain(candidates, config)[i] - config.beta * max((s[i, j] for j in shown), default=0)


def naive_dpp(i: int, shown: list[int], s: np.ndarray, candidates: Candidates, config: DiversificationConfig) -> float:
    """The determinant that the list would have with i."""
    rows = [*shown, i]
    quality = np.exp(naive_gain(candidates, config)[rows] / (2 * config.beta))
    return config.beta * np.log(np.linalg.det(quality[:, None] * s[np.ix_(rows, rows)] * quality))


def assert_greedy(order, naive, candidates, config, tolerance):
    """At every slot nothing left was worth more than what was taken; equal worths may be rounded either way."""
    s = naive_likeness(candidates, config)
    assert len(set(order.tolist())) == len(order)
    for slot, picked in enumerate(order.tolist()):
        shown = order[:slot].tolist()
        worth = {i: naive(i, shown, s, candidates, config) for i in range(len(candidates)) if i not in shown}
        assert worth[picked] >= max(worth.values()) - tolerance


settings = st.builds(
    DiversificationConfig,
    beta=st.floats(0, 4),
    window=st.integers(1, 5),
    decay=st.floats(0.2, 1),
    ridge=st.floats(0.05, 5),
    visual=st.floats(0.1, 1),
    text=st.floats(0, 1),
    graph=st.floats(0, 1),
    prefix_cost=st.floats(0, 1),
    exposure=st.sampled_from(["window", "cumulative"]),
    utility=st.sampled_from(["standardized", "raw"]),
)


@given(st.integers(0, 10_000), st.integers(1, 9), st.sampled_from([0.0, 0.5]), settings)
def test_ssd_is_its_definition(seed, count, missing, config):
    candidates = drawn(seed, count, missing)
    order = ssd.rerank(candidates, count, config)
    assert_greedy(order, naive_ssd, candidates, config, 1e-3)


def test_pins_of_a_set_stand_apart():
    """Six candidates, the best three of them of one set: a cost of 1 puts one that is worth 0.9 less between them."""
    utility = np.array([3.0, 2.9, 2.8, 2.0, 1.9, 1.8])
    flagged = np.array([[1.0], [1.0], [1.0], [0.0], [0.0], [0.0]])
    config = dataclasses.replace(PLAIN, beta=0.0)
    blank = np.zeros((6, 2), dtype=np.float32)
    assert ssd.rerank(Candidates(utility, visual=blank), 6, config).tolist() == [0, 1, 2, 3, 4, 5]
    # Slot 2: 2.9 - 1 < 2.0. Slot 3: 2.9 - 1/2 > 1.9. Slot 4: 2.8 - 1 - 1/3 < 1.9.
    spread = ssd.rerank(Candidates(utility, visual=blank, spaced=flagged), 6, config)
    assert spread.tolist() == [0, 3, 1, 4, 2, 5]
    with pytest.raises(RerankError, match="spaced has shape"):
        Candidates(utility, spaced=flagged[:2])


@given(st.integers(0, 10_000), st.integers(1, 9), st.sampled_from([0.0, 0.5]), settings)
def test_mmr_is_its_definition(seed, count, missing, config):
    candidates = drawn(seed, count, missing)
    assert_greedy(mmr.rerank(candidates, count, config), naive_mmr, candidates, config, 1e-5)


@given(st.integers(0, 10_000), st.floats(0.2, 4))
def test_dpp_takes_the_largest_determinant_at_every_slot(seed, beta):
    candidates, config = drawn(seed, 8, dim=8), dataclasses.replace(PLAIN, beta=beta)
    assert_greedy(dpp.rerank(candidates, 5, config), naive_dpp, candidates, config, 1e-3 * beta)


def test_a_list_longer_than_the_vectors_goes_on():
    candidates = Candidates(np.arange(6.0), np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32))
    assert sorted(dpp.rerank(candidates, 6, PLAIN).tolist()) == list(range(6))


def test_a_copy_costs_beta_by_hand():
    """A and its copy B, C beside them: after A, B is worth 0.9 − β and C 0.5."""
    candidates = Candidates(np.array([1.0, 0.9, 0.5]), np.array([[2, 0], [2, 0], [0, 1]], np.float32))
    for method in (ssd, mmr):
        assert method.rerank(candidates, 3, dataclasses.replace(PLAIN, beta=0.41)).tolist() == [0, 2, 1]
        assert method.rerank(candidates, 3, dataclasses.replace(PLAIN, beta=0.39)).tolist() == [0, 1, 2]


@pytest.mark.parametrize(("ahead", "third"), [(0.89, 2), (0.87, 3)])
def test_two_spectra_by_hand(ahead, third):
    """Slot 0 shows e1, slot 1 e2: λ = 0.5 and 1, w = 2/3 and 1. (0.6, 0.8, 0) costs 2/3 · 0.36 + 0.64 = 0.88."""
    vectors = np.array([[1, 0, 0], [0, 1, 0], [0.6, 0.8, 0], [0, 0, 1]], np.float32)
    candidates = Candidates(np.array([4.0, 3.0, 1.0 + ahead, 1.0]), vectors)
    assert ssd.rerank(candidates, 3, PLAIN).tolist() == [0, 1, third]


@pytest.mark.parametrize(("ahead", "third"), [(0.26, 2), (0.24, 3)])
def test_prefixes_by_hand(ahead, third):
    """Of two levels one is shared with the Pin shown before the last: 1 · 0.5 · 0.5 = 0.25."""
    ids = np.array([[7, 1], [8, 1], [7, 2], [9, 1]])
    candidates = Candidates(np.array([4.0, 3.0, 1.0 + ahead, 1.0]), np.eye(4, dtype=np.float32), ids=ids)
    config = dataclasses.replace(PLAIN, prefix_cost=1.0)
    assert ssd.rerank(candidates, 3, config).tolist() == [0, 1, third]


def test_without_decay_what_is_left_of_a_candidate_is_what_huang_rewards():
    """ε → 0, window over all slots: U_i = f(r_i) − β (1 − ‖rest of i beside the shown‖²), by least squares."""
    config = DiversificationConfig(beta=3, window=9, decay=1, ridge=1e-3, utility="raw", prefix_cost=0)
    candidates = Candidates(
        *(lambda r: (r.normal(size=20), r.normal(size=(20, 16)).astype(np.float32)))(np.random.default_rng(3))
    )
    x = candidates.visual / np.linalg.norm(candidates.visual, axis=1, keepdims=True)
    order = ssd.rerank(candidates, 8, config)
    for slot in range(1, 8):
        shown = x[order[:slot]].T
        rest = np.square(x.T - shown @ np.linalg.lstsq(shown, x.T, rcond=None)[0]).sum(0)
        worth = candidates.utility - 3 * (1 - rest)
        worth[order[:slot]] = -np.inf
        assert worth[order[slot]] >= worth.max() - 0.02


@pytest.mark.parametrize("method", METHODS)
def test_without_penalties_utility_decides(method):
    candidates = dataclasses.replace(drawn(1, 50, missing=0.3), spaced=None)
    order = method.rerank(candidates, 50, DiversificationConfig(beta=0, prefix_cost=0))
    assert order.tolist() == np.argsort(-candidates.utility).tolist()


@pytest.mark.parametrize("method", METHODS)
@given(seed=st.integers(0, 10_000))
def test_the_order_of_the_candidates_does_not_matter(method, seed):
    candidates = drawn(seed, 40, missing=0.3)
    mixed = np.random.default_rng(seed).permutation(40)
    order = method.rerank(candidates, 20, DiversificationConfig())
    assert mixed[method.rerank(taken(candidates, mixed), 20, DiversificationConfig())].tolist() == order.tolist()


@given(st.integers(0, 10_000), st.floats(0.1, 100))
def test_neither_the_scale_of_utility_nor_the_length_of_vectors_matters(seed, scale):
    candidates, config = drawn(seed, 30), DiversificationConfig()
    visual = candidates.visual * np.float32(scale)
    scaled = dataclasses.replace(candidates, utility=candidates.utility * scale, visual=visual)
    assert ssd.rerank(scaled, 15, config).tolist() == ssd.rerank(candidates, 15, config).tolist()


def test_the_candidates_given_stay_as_they_are():
    candidates = drawn(0, 10)
    before = candidates.utility.copy()
    for method in METHODS:
        method.rerank(candidates, 5, PLAIN)
    assert np.array_equal(candidates.utility, before)


def clustered(seed: int, clusters: int = 6, count: int = 120) -> Candidates:
    """Clusters of unequal appeal: the best candidates are alike."""
    rng = np.random.default_rng(seed)
    number = rng.integers(clusters, size=count)
    vectors = rng.normal(size=(clusters, 16))[number] + 0.4 * rng.normal(size=(count, 16))
    utility = rng.normal(size=clusters)[number] + 0.3 * rng.normal(size=count)
    return Candidates(utility, vectors.astype(np.float32), ids=number[:, None])


@pytest.mark.parametrize("method", METHODS)
def test_a_higher_beta_shows_less_alike_and_costs_utility(method):
    config = DiversificationConfig(prefix_cost=0)
    means = []
    for beta in (0, 0.3, 1, 3):
        changed = dataclasses.replace(config, beta=beta)
        found = [slate_figures(c, method.rerank(c, 20, changed), config) for c in map(clustered, range(8))]
        means.append([np.mean([f[key] for f in found]) for key in ("window_similarity", "utility", "prefixes")])
    for low, high in pairwise(means):
        assert high[0] < low[0]
        assert high[1] < low[1]
        assert high[2] >= low[2]


def test_the_prefix_cost_alone_spreads_ids():
    config = DiversificationConfig(beta=0, prefix_cost=0)
    repeats = [
        np.mean([slate_figures(c, ssd.rerank(c, 20, one), config)["window_repeats"] for c in map(clustered, range(8))])
        for one in (dataclasses.replace(config, prefix_cost=cost) for cost in (0, 0.3, 1))
    ]  # fmt: skip
    assert repeats[0] > repeats[1] > repeats[2]


@pytest.mark.parametrize(("ahead", "second"), [(0.51, 1), (0.49, 2)])
def test_a_pin_without_text_and_edges_by_hand(ahead, second):
    """Pin 1 has but a copy of Pin 0's picture, of weight 0.5: s² = 0.5, in place of 1. Pin 2 is new and seconds old."""
    visual, text, graph = np.eye(3, dtype=np.float32)[[0, 0, 1]], *np.eye(3, dtype=np.float32)[[[0, 0, 0], [0, 0, 0]]]
    text[1:], graph[1:] = 0, 0
    candidates = Candidates(np.array([2.0, 0.3 + ahead, 0.3]), visual, text, graph)
    config = dataclasses.replace(PLAIN, visual=0.5, text=0.25, graph=0.25)
    assert ssd.rerank(candidates, 3, config)[1] == second


@pytest.mark.parametrize("beta", [1, 4])
def test_pins_of_which_less_is_known_are_shown_neither_more_nor_less(beta):
    """Text and edges of 40 % of the Pins are hidden at random; SSD shows as many of those."""
    shown = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        centre = rng.normal(size=(8, 32))[rng.integers(8, size=300)]
        visual, text, graph = ((centre + rng.normal(size=(300, 32))).astype(np.float32) for _ in range(3))
        hidden = rng.random(300) < 0.4
        text[hidden], graph[hidden] = 0, 0
        candidates = Candidates(rng.normal(size=300), visual, text, graph)
        shown.append(hidden[ssd.rerank(candidates, 60, DiversificationConfig(beta=beta))].mean())
    assert np.mean(shown) == pytest.approx(0.4, abs=0.06)


def test_pins_that_share_no_signal_are_not_alike():
    visual, text = np.array([[1.0], [0]], np.float32), np.array([[0.0], [1]], np.float32)
    found = slate_figures(Candidates(np.ones(2), visual, text), np.array([0, 1]), PLAIN)
    assert found["window_similarity"] == 0


def test_figures_by_hand():
    """Rows 0, 1 and 3 shown, window 1: likeness 0.6 and 0 beside each other, 0 two apart."""
    vectors = np.array([[1, 0, 0], [0.6, 0.8, 0], [1, 0, 0], [0, 0, 1]], np.float32)
    candidates = Candidates(np.array([4.0, 3, 1, 0]), vectors, ids=np.array([[5], [5], [6], [5]]))
    found = slate_figures(candidates, np.array([0, 1, 3]), dataclasses.replace(PLAIN, window=1))
    assert found["window_similarity"] == pytest.approx(0.3)
    assert found["list_similarity"] == pytest.approx(0.2)
    assert found["utility"] == pytest.approx((7 / 3 - 2) / (8 / 3 - 2))
    assert found["window_repeats"] == pytest.approx(2 / 3)
    assert found["prefixes"] == 1


def spoilt(name: str, value: float) -> dict[str, np.ndarray]:
    arrays = {"utility": np.ones(3), "visual": np.ones((3, 2), np.float32)}
    arrays[name].flat[1] = value
    return arrays


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (spoilt("utility", np.nan), "utility of candidate 1 is not finite"),
        (spoilt("visual", np.inf), "visual of candidate 0 is not finite"),
        ({"utility": np.ones(3), "text": np.ones((2, 4))}, r"text has shape \(2, 4\).*3 candidates"),
        ({"utility": np.ones(3), "ids": np.ones(3)}, r"ids has shape \(3,\)"),
        ({"utility": np.ones((3, 1))}, r"utility has shape \(3, 1\)"),
        ({"utility": np.ones(0)}, "no candidates"),
    ],
)
def test_candidates_that_do_not_fit_are_refused(wrong, words):
    with pytest.raises(RerankError, match=words):
        Candidates(**wrong)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("slots", [0, 4])
def test_slots_beyond_the_candidates_are_refused(method, slots):
    with pytest.raises(RerankError, match=f"{slots} slots cannot be filled from 3 candidates"):
        method.rerank(Candidates(np.ones(3), np.ones((3, 2))), slots, PLAIN)


@pytest.mark.parametrize(
    "wrong",
    [{"beta": -1}, {"beta": float("nan")}, {"beta": float("inf")}, {"window": 0}, {"decay": 0}, {"decay": 1.1},
     {"ridge": 0}, {"prefix_cost": -0.1}, {"text": -1}, {"utility": "ranks"}, {"visual": 0, "text": 0, "graph": 0}],
)  # fmt: skip
def test_settings_that_do_not_fit_are_refused(wrong):
    with pytest.raises(ConfigError, match=rf"DiversificationConfig\.{next(iter(wrong))} is .*choose"):
        DiversificationConfig(**wrong)


@pytest.mark.parametrize("method", METHODS)
def test_a_candidate_of_which_nothing_is_known_is_like_no_other(method):
    visual = np.array([[1, 0], [0, 0], [1, 0], [0, 0]], dtype=np.float32)
    order = method.rerank(Candidates(np.array([4.0, 3.9, 3.8, 3.7]), visual=visual), 4, PLAIN)
    assert order.tolist() == [0, 1, 3, 2]
