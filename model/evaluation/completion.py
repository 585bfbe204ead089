"""Complete the look: predicts which Pin a board gets next; measured by taking a Pin away and finding it again.

    board_scores(similarity_NB, nearest=3)       ->  a score of every candidate, by the board's Pins that it is next to
    hit_chance(scores_N, answer, asked_N, k=10)  ->  is the answer among the first 10?
    completed(pins_B, questions, rankings, k)    ->  hits of every save that was taken from its board

A candidate's score is the mean of its cosines with the `nearest` Pins of the board: a board of shoes and hats wants
another shoe or another hat, not what lies between them, which is where the mean of all Pins leads.

Leave-one-out: one Pin is taken away and has to be found by the rest. The variants of the taken Pin (its group) are
taken with it and are no candidates either: finding a copy completes nothing. The Pins that stay on the board are no
candidates.

Shape legend: N Pins · E vector dimension · B Pins on the board · L saves left out of it · W ways to score
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

ALL = 0  # `nearest`: all Pins of the board
# The board's Pins -> (bool (B,), those that stay -> scores (W, N) of all Pins, one row a way to score).
BoardRanking = Callable[[np.ndarray], Callable[[np.ndarray], np.ndarray]]


@dataclass(frozen=True)
class LeftOut:
    """One save taken from its board: the Pin to be found, the board's Pins that stay, the Pins that may be found."""

    answer: int
    stays_B: np.ndarray  # bool, of the board's Pins
    asked_N: np.ndarray  # bool, the answer among them


def board_scores(similarity_NB: np.ndarray, nearest: int) -> np.ndarray:
    """(N,): the mean of the `nearest` largest of each row, of all where there are fewer; ALL for the mean of all."""
    if nearest == ALL or nearest >= similarity_NB.shape[1]:
        return similarity_NB.mean(axis=1)
    return np.partition(similarity_NB, -nearest, axis=1)[:, -nearest:].mean(axis=1)


def by_vectors(x_NE: np.ndarray, nearest: Sequence[int]) -> BoardRanking:
    """Ranks by board_scores of vectors of length 1, one way for each of `nearest`."""

    def of_board(pins_B: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        similarity_NB = x_NE @ x_NE[pins_B].T

        def scores(stays_B: np.ndarray) -> np.ndarray:
            left_NB = similarity_NB[:, stays_B]
            return np.stack([board_scores(left_NB, count) for count in nearest])

        return scores

    return of_board


def by_popularity(saves_N: np.ndarray) -> BoardRanking:
    """Ranks by how many boards a Pin is on, but for the board in question."""

    def of_board(pins_B: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        elsewhere_N = saves_N.astype(np.float64)
        elsewhere_N[pins_B] -= 1
        return lambda stays_B: elsewhere_N[None]

    return of_board


def hit_chance(scores_N: np.ndarray, answer: int, asked_N: np.ndarray, k: int) -> float:
    """Chance that the answer is among the k best asked ones, where equal scores are ordered at random."""
    asked = scores_N[asked_N]
    before, equal = np.count_nonzero(asked > scores_N[answer]), np.count_nonzero(asked == scores_N[answer])
    return float(np.clip((k - before) / equal, 0, 1))


def saves_left_out(
    pins_B: np.ndarray, left: Sequence[int], groups_N: np.ndarray, candidates_N: np.ndarray
) -> Iterator[LeftOut]:
    """Each Pin of `left`, Pins of the board, as a question; none where nothing of the board would stay."""
    on_board_N = np.zeros(len(groups_N), dtype=bool)
    on_board_N[pins_B] = True
    for answer in left:
        copies_N = groups_N == groups_N[answer]
        if not copies_N[pins_B].all():
            asked_N = candidates_N & ~on_board_N & ~copies_N
            asked_N[answer] = True
            yield LeftOut(answer, ~copies_N[pins_B], asked_N)


def completed(pins_B: np.ndarray, questions: Sequence[LeftOut], rankings: Sequence[BoardRanking], k: int) -> np.ndarray:
    """float64 (L, W): the hits of every way to score on the questions of one board."""
    scorers, found = [ranking(pins_B) for ranking in rankings], []
    for one in questions:
        scores_WN = np.concatenate([scores(one.stays_B) for scores in scorers])
        found.append([hit_chance(scores_N, one.answer, one.asked_N, k) for scores_N in scores_WN])
    return np.array(found)
