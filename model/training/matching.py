"""Pairs the training Pins for an epoch: each Pin once, with one of its neighbours where one is free.

A maximal matching of the neighbour graph, drawn anew each epoch. In each round every free Pin asks a free neighbour,
drawn by its share of visits; of the proposals that touch one Pin the first in a random order is accepted. Pins without
a free neighbour are paired at random: the two do not match, but their images and texts are trained on like all others.
(Anchors with a freely drawn neighbour each show some Pins often and others never: recall of Related Pins on the emoji
0.340, with matching 0.373.)

Shape legend: N training Pins · T neighbours kept for a Pin · P pairs · n Pins of a block
"""

import numpy as np

ROUNDS = 8  # 86.4 % of the emoji's Pins are then paired with a neighbour; twice the rounds pair no more
BLOCK = 65_536  # Pins that ask at a time: what is computed of all at once would take most of the training's memory


def pair_up(neighbours_NT: np.ndarray, weights_NT: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pairs (P, 2) of training Pins in a random order, P = N // 2; no Pin is in two.

    neighbours_NT: int32, -1 padded; weights_NT: shares of visits, 0 where padded.
    """
    free = np.ones(len(neighbours_NT), dtype=bool)
    pairs = []
    for _ in range(ROUNDS):
        asking = rng.permutation(np.flatnonzero(free))
        accepted = _accepted(*_proposals(neighbours_NT, weights_NT, asking, free, rng), len(free))
        free[accepted] = False
        pairs.append(accepted)
    strangers = rng.permutation(np.flatnonzero(free))
    pairs.append(strangers[: len(strangers) // 2 * 2].reshape(-1, 2))
    return rng.permutation(np.concatenate(pairs))


def near_together(pairs_P2: np.ndarray, neighbours_NT: np.ndarray, near: int, rng: np.random.Generator) -> np.ndarray:
    """The pairs in an order in which each `near` consecutive ones are near each other in the graph, as a rule.

    In one batch they are hard negatives. Pairs have the same key if the lowest Pin within two steps of them, in an
    order drawn anew each epoch, is the same one (MinHash, Broder 1997): the more Pins they share there, the likelier.
    """
    lowest_N = rng.permutation(len(neighbours_NT))
    for _ in range(2):
        found_NT = np.where(neighbours_NT >= 0, lowest_N[neighbours_NT], len(lowest_N))
        lowest_N = np.minimum(lowest_N, found_NT.min(1, initial=len(lowest_N)))
    order = np.lexsort([rng.random(len(pairs_P2)), lowest_N[pairs_P2].min(1)])
    whole = len(order) // near * near
    blocks = rng.permutation(order[:whole].reshape(-1, near))
    return pairs_P2[np.concatenate([blocks.ravel(), order[whole:]])]


def _proposals(
    neighbours_NT: np.ndarray, weights_NT: np.ndarray, asking: np.ndarray, free: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(asking Pins, the free neighbour that each asks), those without a free neighbour left out."""
    drawn, asked = rng.random(len(asking)), np.full(len(asking), -1)
    for start in range(0, len(asking), BLOCK):
        some = slice(start, start + BLOCK)
        asked[some] = _asked(neighbours_NT[asking[some]], weights_NT[asking[some]], free, drawn[some])
    return asking[asked >= 0], asked[asked >= 0]


def _asked(neighbours_nT: np.ndarray, weights_nT: np.ndarray, free: np.ndarray, drawn_n: np.ndarray) -> np.ndarray:
    """The free neighbour (n,) that a number in [0, 1) draws for each Pin, -1 without one."""
    running_nT = np.cumsum(weights_nT * free[neighbours_nT], axis=1)
    place_n = (running_nT <= (drawn_n * running_nT[:, -1])[:, None]).sum(1)
    able_n = (running_nT[:, -1] > 0) & (place_n < running_nT.shape[1])
    chosen_n = neighbours_nT[np.arange(len(place_n)), np.minimum(place_n, running_nT.shape[1] - 1)]
    return np.where(able_n, chosen_n, -1)


def _accepted(asking: np.ndarray, asked: np.ndarray, pins: int) -> np.ndarray:
    """The proposals that come first for both their Pins, (P, 2)."""
    turn = np.arange(len(asking))
    first = np.full(pins, len(asking))
    np.minimum.at(first, asking, turn)
    np.minimum.at(first, asked, turn)
    kept = (first[asking] == turn) & (first[asked] == turn) & (asking != asked)
    return np.stack([asking[kept], asked[kept]], axis=1)
