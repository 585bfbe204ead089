"""What the neighbours step writes: whole, readable, the same in any order of rows, and silent about fresh Pins."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from model.config.overrides import override
from model.data.catalogue import Catalogue
from model.files import remove
from model.graph import neighbourhood
from model.graph.neighbourhood import read_edges, read_fresh, read_pairs, read_texts, read_training
from model.training.dataset import load_training_set


def test_files_agree_with_the_catalogue_and_with_each_other(walked):
    prepared, folder = walked
    catalogue = Catalogue(prepared / "catalogue")
    ids = catalogue.read("pins", ["pin_id"])["pin_id"].to_pylist()
    boards = catalogue.read("boards", ["board_id", "pin_id"]).to_pylist()
    assert pq.read_table(folder / "split.parquet")["pin_id"].to_pylist() == ids
    edges = read_edges(folder)
    assert [ids[pin] for pin in edges.pin] == [row["pin_id"] for row in boards]
    names = {}
    for number, row in zip(edges.other, boards, strict=True):
        assert names.setdefault(number, row["board_id"]) == row["board_id"]
    stats = json.loads((folder / "stats.json").read_text())
    assert stats == {
        "pins": len(ids),
        "training_pins": int((~read_fresh(folder)).sum()),
        "fresh_pins": int(read_fresh(folder).sum()),
        "boards": len(names),
        "edges": len(boards),
        "held_out_edges": int(edges.held_out.sum()),
        "queries": len(read_texts(folder)[1]),
        "neighbour_pairs": len(read_pairs(folder).pin),
        "pins_with_neighbours": len(set(read_pairs(folder).pin)),
    }


def test_texts_are_the_queries_and_the_board_titles_of_each_pin(walked):
    prepared, folder = walked
    catalogue = Catalogue(prepared / "catalogue")
    ids = catalogue.read("pins", ["pin_id"])["pin_id"].to_pylist()
    facts, words = read_texts(folder)
    found = [(ids[pin], words[other]) for pin, other in zip(facts.pin, facts.other, strict=True)]
    boards = catalogue.read("boards", ["pin_id", "title"]).to_pylist()
    queries = catalogue.read("queries", ["pin_id", "query"]).to_pylist()
    told = {(row["pin_id"], row["title"]) for row in boards} | {(row["pin_id"], row["query"]) for row in queries}
    assert sorted(found) == sorted(told)


def test_everything_of_a_fresh_pin_is_held_out(walked):
    _, folder = walked
    fresh = read_fresh(folder)
    assert read_edges(folder).held_out[fresh[read_edges(folder).pin]].all()
    facts, _ = read_texts(folder)
    assert facts.held_out[fresh[facts.pin]].all()
    pairs = read_pairs(folder)
    assert len(pairs.pin) > 100
    assert not fresh[pairs.pin].any()
    assert not fresh[pairs.neighbour].any()


def test_about_the_asked_share_of_training_edges_is_held_out(walked, config):
    edges, fresh = read_edges(walked[1]), read_fresh(walked[1])
    assert 0.03 < edges.held_out[~fresh[edges.pin]].mean() < 0.2


def by_hand(picture) -> tuple[list[dict], list[dict], list[dict]]:
    """60 Pins, each its own group, on two boards; every second was clicked for its board's title in small letters."""
    pins = [{"pin_id": f"p{i:02d}", "image": picture(i), "title": f"number {i}"} for i in range(60)]
    boards = [{"board_id": f"b{i % 2}", "pin_id": f"p{i:02d}", "title": f"Board {i % 2}"} for i in range(60)]
    queries = [{"query": f"board {i % 2}", "pin_id": f"p{i:02d}"} for i in range(0, 60, 2)]
    return pins, boards, queries


def test_an_edge_and_a_click_of_the_same_words_are_held_out_together(catalogue_of, picture, config):
    config = override(config, {"split": {"heldout_edges": 0.5}})
    _, folder = catalogue_of(*by_hand(picture), config=config)
    facts, words = read_texts(folder)
    told: dict[int, set[bool]] = {}
    for pin, _, held in zip(facts.pin, facts.other, facts.held_out, strict=True):
        told.setdefault(pin, set()).add(held)
    assert {word.casefold() for word in words} == {"board 0", "board 1"}
    assert all(len(drawn) == 1 for drawn in told.values())
    edges = read_edges(folder)
    assert all(told[pin] == {held} for pin, held in zip(edges.pin, edges.held_out, strict=True))
    assert {True, False} == set(edges.held_out[~read_fresh(folder)[edges.pin]].tolist())


def test_a_board_without_title_is_named_by_its_id(catalogue_of, picture):
    pins, boards, _ = by_hand(picture)
    _, folder = catalogue_of(pins, [{k: row[k] for k in ("board_id", "pin_id")} for row in boards])
    assert read_texts(folder)[1] == []
    assert 0 < read_edges(folder).held_out.sum() < 60


def test_the_order_of_rows_changes_nothing(catalogue_of, picture):
    pins, boards, queries = by_hand(picture)
    told = []
    for name, turn in (("one", 1), ("two", -1)):
        prepared, folder = catalogue_of(pins[::turn], boards[::turn], queries[::turn], name=name)
        ids = np.array(Catalogue(prepared / "catalogue").read("pins", ["pin_id"])["pin_id"].to_pylist())
        facts, words = read_texts(folder)
        told.append(
            (
                dict(zip(ids, read_fresh(folder), strict=True)),
                {(ids[p], words[w]): h for p, w, h in zip(facts.pin, facts.other, facts.held_out, strict=True)},
            )
        )
    assert told[0] == told[1]


@pytest.mark.parametrize("part", ["boards", "queries"])
def test_a_catalogue_without_boards_or_without_queries(catalogue_of, picture, part):
    pins, boards, queries = by_hand(picture)
    _, folder = catalogue_of(pins, [] if part == "boards" else boards, [] if part == "queries" else queries)
    edges, pairs = read_edges(folder), read_pairs(folder)
    facts, words = read_texts(folder)
    if part == "boards":
        assert len(edges.pin) == len(pairs.pin) == 0
        assert words == ["board 0"]
    else:
        assert words == ["Board 0", "Board 1"]
    assert len(facts.pin) == len(facts.other) == len(facts.held_out) > 0


def test_running_again_writes_the_same_bytes(tmp_path, walked, config):
    prepared, folder = walked
    seen = []
    neighbourhood.build(prepared, tmp_path / "again", config, lambda fraction, message: seen.append(fraction))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    for path in folder.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_a_failure_leaves_what_was_there(tmp_path, walked, config):
    def fail(fraction, message):
        raise RuntimeError(message)

    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "stats.json").write_text("before")
    with pytest.raises(RuntimeError):
        neighbourhood.build(walked[0], tmp_path / "out", config, fail)
    assert (tmp_path / "out" / "stats.json").read_text() == "before"
    remove(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_pins_that_are_left_out_are_in_no_walk_and_not_judged(tmp_path, walked, config):
    half = override(config, {"split": {"train_share": 0.5}})
    neighbourhood.build(walked[0], tmp_path / "half", half)
    training, fresh = read_training(tmp_path / "half"), read_fresh(tmp_path / "half")
    assert 0.3 < training.sum() / (~fresh).sum() < 0.7
    assert np.array_equal(fresh, read_fresh(walked[1]))
    for facts in (read_edges(tmp_path / "half"), read_texts(tmp_path / "half")[0]):
        assert facts.held_out[~training[facts.pin]].all()
    pairs = read_pairs(tmp_path / "half")
    assert len(pairs.pin) > 0
    assert training[pairs.pin].all()
    assert training[pairs.neighbour].all()
    learnt = load_training_set(walked[0], tmp_path / "half", half)[0]
    assert np.array_equal(learnt.rows, np.flatnonzero(training))


def of_users(picture) -> tuple[list[dict], list[dict]]:
    """60 Pins on twelve boards of five Pins; each of four users has three boards."""
    pins = [{"pin_id": f"p{i:02d}", "image": picture(i)} for i in range(60)]
    boards = [{"board_id": f"b{i // 5:02d}", "pin_id": f"p{i:02d}", "user_id": f"u{i // 15}"} for i in range(60)]
    return pins, boards


def walks(config):
    return {over: override(config, {"graph": {"over": over}}) for over in ("boards", "users")}


def pairs_by_id(prepared, folder) -> set[tuple[str, str]]:
    ids = Catalogue(prepared / "catalogue").read("pins", ["pin_id"])["pin_id"].to_pylist()
    pairs = read_pairs(folder)
    return {(ids[a], ids[b]) for a, b in zip(pairs.pin, pairs.neighbour, strict=True)}


def joins(pairs, size: int) -> bool:
    """Whether a pair of Pins goes from one group of `size` to another."""
    return any(int(a[1:]) // size != int(b[1:]) // size for a, b in pairs)


def test_over_users_a_walk_goes_from_board_to_board_of_one_user(catalogue_of, picture, config):
    pins, boards = of_users(picture)
    found = {over: catalogue_of(pins, boards, config=one, name=over) for over, one in walks(config).items()}
    by_boards, by_users = (pairs_by_id(*found[over]) for over in ("boards", "users"))
    assert not joins(by_boards, 5)
    assert joins(by_users, 5) and not joins(by_users, 15)
    # What is judged, and which pairs of a batch are no negatives, are boards all the same.
    for name in ("edges", "texts", "split"):
        assert (found["users"][1] / f"{name}.parquet").read_bytes() == (
            found["boards"][1] / f"{name}.parquet"
        ).read_bytes()
    assert json.loads((found["users"][1] / "stats.json").read_text())["users"] == 4


def test_where_no_user_is_named_walks_over_users_are_walks_over_boards(tmp_path, walked, config):
    neighbourhood.build(walked[0], tmp_path / "users", walks(config)["users"])
    for path in walked[1].iterdir():
        assert (tmp_path / "users" / path.name).read_bytes() == path.read_bytes()


def test_a_held_out_save_is_not_given_away_by_another_board_or_a_preference(catalogue_of, picture, config):
    config = override(walks(config)["users"], {"split": {"heldout_edges": 0.5}})
    pins, boards = of_users(picture)
    twice = boards + [row | {"board_id": f"again-{row['board_id']}"} for row in boards]
    likes = [{"user_id": row["user_id"], "pin_id": row["pin_id"]} for row in boards]
    _, folder = catalogue_of(pins, twice, config=config, preferences=likes)
    edges, fresh = read_edges(folder), read_fresh(folder)
    hidden = set(edges.pin[edges.held_out].tolist())
    assert len(hidden) > fresh.sum() + 10
    pairs = read_pairs(folder)
    assert len(pairs.pin) > 0
    assert not hidden & {*pairs.pin.tolist(), *pairs.neighbour.tolist()}


def test_a_preference_is_walked_and_one_of_a_user_without_consent_is_not(catalogue_of, picture, config):
    config = override(walks(config)["users"], {"split": {"heldout_edges": 0.0}})
    pins, boards = of_users(picture)
    boards = [row for row in boards if row["user_id"] != "u3"]
    likes = [{"user_id": user, "pin_id": f"p{i:02d}"} for user, i in [("u0", i) for i in range(15, 30)]]
    likes += [{"user_id": "u9", "pin_id": f"p{i:02d}"} for i in range(45, 60)]
    listed = [{"user_id": f"u{n}", "consent": n != 9} for n in (0, 1, 2, 9)]
    prepared, folder = catalogue_of(pins, boards, config=config, preferences=likes, users=listed)
    pairs = pairs_by_id(prepared, folder)
    assert joins({pair for pair in pairs if max(pair) < "p30"}, 15)
    assert not any(pin >= "p45" for pair in pairs for pin in pair)
