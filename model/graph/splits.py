"""Which Pins are fresh and which edges are held out, without leaks.

A fresh Pin is in no training batch and has no edge in any walk; all Pins of its group are fresh with it. Of the
training Pins' edges a share is held out too. An edge and a click are one fact when they join the same Pin and the same
words (a board's title, a query), so they are held out together: the draw is a hash of the two.

A study may ask for less. Of the training groups only `train_share` is kept, and of a smaller share a subset. Where
settings are chosen, `judge: validation` leaves the fresh Pins out altogether and holds out as large a share of the
others in their place, so that no setting is chosen on the fresh Pins.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from model.config import SplitConfig
from model.errors import CatalogueError


@dataclass(frozen=True)
class Split:
    """Bool (pins,) each, never both True; a Pin that is neither is left out."""

    training: np.ndarray
    fresh: np.ndarray


def split_pins(pins: pa.Table, config: SplitConfig, seed: int) -> Split:
    """`pins` needs pin_id, group_id, created_at.

    Raises:
        CatalogueError: no group is left to train on, or none is fresh.
    """
    fresh = fresh_pins(pins, config, seed)
    training = ~fresh
    if config.judge == "validation":
        fresh = np.zeros(len(fresh), dtype=bool)
        fresh[training] = fresh_pins(pins.filter(pa.array(training)), config, seed, "validation")
        training &= ~fresh
    if config.train_share < 1:
        training &= uniform_hash(group_names(pins), f"train:{seed}") < config.train_share
        if not training.any():
            raise CatalogueError(f"split.train_share {config.train_share} leaves no Pin to train on; choose a larger.")
    return Split(training, fresh)


def fresh_pins(pins: pa.Table, config: SplitConfig, seed: int, draw: str = "fresh") -> np.ndarray:
    """Bool (pins,), True where fresh. Other names of the `draw` give other groups where no time decides.

    Raises:
        CatalogueError: no group is left to train on, or none is fresh.
    """
    names, membership = np.unique(np.asarray(group_names(pins)), return_inverse=True)
    dated = pins["created_at"].null_count == 0
    if config.by == "time" and not dated:
        raise CatalogueError("split.by is time, but some Pins have no created_at; fill it or choose split.by=hash.")
    if dated and config.by != "hash":
        newest = _newest_times(membership, pins["created_at"].cast(pa.int64()).to_numpy())
        fresh_groups = _fitting(np.argsort(-newest, kind="stable"), membership, config.fresh_share)
    else:
        hashes = uniform_hash(names.tolist(), f"{draw}:{seed}")
        fresh_groups = hashes < config.fresh_share
        # Of few or very unequal groups the draw may be none, or far too many.
        if not 0 < fresh_groups[membership].mean() <= 2 * config.fresh_share:
            fresh_groups = _fitting(np.argsort(hashes, kind="stable"), membership, config.fresh_share)
    fresh = fresh_groups[membership]
    if fresh.all() or not fresh.any():
        raise CatalogueError(
            f"The {len(names)} groups of the catalogue cannot be split into training and fresh Pins; "
            f"each holds more than {config.fresh_share:.0%} of the Pins, so map group_id to a finer column, or raise "
            "split.fresh_share."
        )
    return fresh


def group_names(pins: pa.Table) -> list[str]:
    """The group of each Pin; one without group_id is a group of its own. `pins` needs pin_id, group_id."""
    columns = (pins[name].to_pylist() for name in ("group_id", "pin_id"))
    return [group if group is not None else f"pin:{pin}" for group, pin in zip(*columns, strict=True)]


def held_out(pin_ids: Sequence[str], words: Sequence[str], share: float, seed: int) -> np.ndarray:
    """Bool (edges,): which (Pin, words) edges are held out from training."""
    keys = [f"{pin}\0{text.strip().casefold()}" for pin, text in zip(pin_ids, words, strict=True)]
    return uniform_hash(keys, f"edge:{seed}") < share


def uniform_hash(keys: Sequence[str], salt: str) -> np.ndarray:
    """Each key's own number in [0, 1), the same on every machine and in every order."""
    salted = hashlib.blake2b(salt.encode(), digest_size=8)
    values = np.empty(len(keys), dtype=np.uint64)
    for i, key in enumerate(keys):
        state = salted.copy()
        state.update(key.encode())
        values[i] = int.from_bytes(state.digest(), "little")
    return values / 2.0**64


def _newest_times(membership: np.ndarray, created_us: np.ndarray) -> np.ndarray:
    """Int (groups,): when the newest Pin of each was made."""
    newest = np.full(membership.max() + 1, np.iinfo(np.int64).min)
    np.maximum.at(newest, membership, created_us)
    return newest


def _fitting(order: np.ndarray, membership: np.ndarray, share: float) -> np.ndarray:
    """Bool (groups,): the first groups of `order` that together fit into `share` of all Pins.

    One that does not fit is left out and the next is tried: the most active group is often both newest and largest.
    """
    sizes = np.bincount(membership)
    chosen, room = np.zeros(len(sizes), dtype=bool), int(share * len(membership))
    for group in order:
        if sizes[group] <= room:
            chosen[group] = True
            room -= sizes[group]
    return chosen
