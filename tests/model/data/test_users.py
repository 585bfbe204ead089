"""Users of a catalogue: whose rows may be used, and which preferences are sound."""

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pictures import encoded, noise

from model.config import PrepareConfig
from model.data.catalogue import Catalogue, CatalogueWriter
from model.data.forgotten import Forgotten, user_key
from model.data.preparation import prepare


def prepared(folder, boards=(), users=(), preferences=(), **settings):
    """(summary, catalogue, quarantined rows) of five Pins, a to e."""
    tables = {"boards": boards, "users": users, "preferences": preferences}
    with CatalogueWriter(folder / "in") as writer:
        writer.write(
            "pins", pa.table({"pin_id": list("abcde"), "image": [encoded(noise(seed=i), "PNG") for i in range(5)]})
        )
        for table, rows in tables.items():
            if rows:
                writer.write(table, pa.Table.from_pylist(list(rows)))
    summary = prepare(Catalogue(folder / "in"), folder / "out", PrepareConfig(**settings))
    refused = [tuple(row.values()) for row in pq.read_table(folder / "out/quarantine.parquet").to_pylist()]
    return summary, Catalogue(folder / "out/catalogue"), refused


def save(board, pin, user=None):
    return {"board_id": board, "pin_id": pin, "user_id": user}


def like(user, pin, weight=None, time=None, kind="like"):
    return {"user_id": user, "pin_id": pin, "kind": kind, "weight": weight, "time": time}


def test_a_catalogue_without_users_has_no_trace_of_them(tmp_path):
    boards = [{"board_id": "B", "pin_id": pin} for pin in "ab"]
    summary, catalogue, _ = prepared(tmp_path, boards)
    assert list(summary) == ["digest", "pins", "boards", "queries"]
    assert catalogue.columns("boards") == ["board_id", "pin_id"]
    for folder in ("in", "out/catalogue"):
        assert sorted(path.name for path in (tmp_path / folder).iterdir()) == ["boards", "pins", "queries"]


def test_a_user_without_consent_is_counted_and_leaves_no_other_trace(tmp_path):
    users = [("yes", True), ("no", False), ("unsaid", None), ("both", True), ("both", False)]
    boards = [save(f"{user}-{n}", pin, user) for user, _ in users[:4] for n in (1, 2) for pin in "ab"]
    boards += [save("open", pin) for pin in "cd"]  # it names no user
    likes = [like(user, pin) for user, _ in users[:4] for pin in "cd"]
    listed = [{"user_id": user, "consent": given} for user, given in users]
    summary, catalogue, refused = prepared(tmp_path, boards, listed, likes)
    assert set(catalogue.read("boards", ["user_id"])["user_id"].to_pylist()) == {"yes", None}
    assert set(catalogue.read("preferences", ["user_id"])["user_id"].to_pylist()) == {"yes"}
    assert summary["boards"]["dropped"] == {"no consent": 12}
    assert summary["preferences"]["dropped"] == {"no consent": 6}
    assert (summary["users"]["read"], summary["users"]["kept"]) == (5, 1)
    assert refused == []
    assert not (tmp_path / "out/catalogue/users").exists()


def test_who_is_on_no_list_is_unknown_and_a_list_without_consent_vouches_for_its_users(tmp_path):
    boards = [save(f"B{user}", pin, user) for user in ("ann", "ghost") for pin in "ab"]
    likes = [like(user, pin) for user in ("ann", "phantom") for pin in "cd"]
    summary, catalogue, refused = prepared(tmp_path, boards, [{"user_id": "ann"}], likes)
    assert summary["boards"]["quarantined"] == {"unknown user": 2}
    assert summary["preferences"]["quarantined"] == {"unknown user": 2}
    assert ("preferences", "phantom · c", "unknown user") in refused
    assert set(catalogue.read("boards", ["user_id"])["user_id"].to_pylist()) == {"ann"}
    # Without a list nobody is unknown.
    summary, _, refused = prepared(tmp_path / "open", boards, (), likes)
    assert (refused, summary["preferences"]["kept"]) == ([], 4)


def test_a_list_that_has_lost_its_last_user_is_a_list_all_the_same(tmp_path):
    prepared(tmp_path, [save("B", pin, "ann") for pin in "ab"], [{"user_id": "ann"}])
    (tmp_path / "in/users/00000.parquet").unlink()
    summary = prepare(Catalogue(tmp_path / "in"), tmp_path / "again", PrepareConfig())
    assert summary["boards"]["quarantined"] == {"unknown user": 2}


def test_preferences_are_held_against_pins_weights_and_the_clock(tmp_path):
    soon = datetime(2999, 1, 1, tzinfo=UTC)
    past = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [like("ann", "a", 2.0, past), like("ann", "a", 2.0, past), like("ann", "a", 2.0, past, "purchase")]
    rows += [like("ann", "b"), like("ann", "ghost"), like("", "a"), like("bob\n", "a"), like("ann", "c", 0.0)]
    rows += [like("ann", "c", -1.0), like("ann", "c", float("nan")), like("ann", "c", float("inf"))]
    rows += [like("ann", "d", 1.0, soon)]
    summary, catalogue, refused = prepared(tmp_path, preferences=rows)
    counts = summary["preferences"]
    assert counts["quarantined"] == {
        "weight not above 0 and finite": 4,
        "no usable user_id": 2,
        "unknown Pin": 1,
        "time in the future": 1,
    }
    assert counts["dropped"] == {"repeated row": 1}
    assert counts["read"] == 12 == counts["kept"] + 8 + 1
    assert ("preferences", "ann · d", "time in the future") in refused
    assert catalogue.read("preferences", ["user_id", "pin_id", "kind", "weight"]).to_pylist() == [
        {"user_id": "ann", "pin_id": "a", "kind": "like", "weight": 2.0},
        {"user_id": "ann", "pin_id": "a", "kind": "purchase", "weight": 2.0},
        {"user_id": "ann", "pin_id": "b", "kind": "like", "weight": 1.0},
    ]


@pytest.mark.parametrize(("boards", "kept"), [((), {"two"}), ([save("B", p, "one") for p in "bc"], {"one", "two"})])
def test_preferences_of_a_user_with_too_few_pins_are_personal(tmp_path, boards, kept):
    """A user's Pins are counted over all boards and preferences, and each of them once."""
    rows = [like("one", "a"), like("one", "a", kind="purchase"), like("two", "a"), like("two", "b")]
    summary, catalogue, _ = prepared(tmp_path, boards, (), rows)
    assert set(catalogue.read("preferences", ["user_id"])["user_id"].to_pylist()) == kept
    assert summary["preferences"]["dropped"] == ({} if "one" in kept else {"user of fewer than 2 Pins": 2})


def test_a_board_row_without_a_readable_user(tmp_path):
    rows = [save("B", "a", ""), save("B", "b", None), save("B", "c", "x\ty"), save("B", "d", " ")]
    summary, catalogue, _ = prepared(tmp_path, rows)
    assert summary["boards"]["quarantined"] == {"no usable user_id": 2}
    assert catalogue.read("boards", ["user_id"])["user_id"].to_pylist() == [None, None]


def test_rows_of_forgotten_users_are_not_read(tmp_path):
    boards = [save("B", "a", "ann"), save("C", "b", "bob"), save("ann", "c", "bob"), save("D", "d"), save("E", "e", "")]
    prepared(tmp_path, boards, [{"user_id": user} for user in ("ann", "bob")], [like("ann", "a"), like("bob", "ann")])
    gone = {Forgotten("salt").digest(user_key(user)): "2026" for user in ("ann", "D", "E")}
    source = Catalogue(tmp_path / "in", Forgotten("salt", gone))
    assert source.read("boards", ["pin_id"])["pin_id"].to_pylist() == ["b", "c"]  # D and E name no user: boards
    assert source.read("users", ["user_id"])["user_id"].to_pylist() == ["bob"]
    assert source.read("preferences", ["user_id"])["user_id"].to_pylist() == ["bob"]
    assert len(source.read("pins", ["pin_id"])) == 5
    as_pins = Forgotten("salt", {Forgotten("salt").digest("ann"): "2026"})  # a Pin of that name is another one
    assert len(Catalogue(tmp_path / "in", as_pins).read("users", ["user_id"])) == 2


@pytest.mark.parametrize("why", ["no consent", "forgotten"])
def test_the_title_of_a_user_that_may_not_be_used_is_no_query(tmp_path, why):
    with CatalogueWriter(tmp_path / "in") as writer:
        writer.write("pins", pa.table({"pin_id": ["a"], "image": [encoded(noise(seed=0), "PNG")]}))
        boards = {"board_id": ["1", "2"], "pin_id": ["a"] * 2, "title": ["Ann's attic", "hats"]}
        writer.write("boards", pa.table(boards | {"user_id": ["ann", "bob"]}))
        writer.write("queries", pa.table({"query": ["Ann's attic", "hats"], "pin_id": ["a"] * 2, "clicks": [1, 1]}))
        if why == "no consent":
            writer.write("users", pa.table({"user_id": ["ann", "bob"], "consent": [False, True]}))
    gone = Forgotten("salt", {Forgotten("salt").digest(user_key("ann")): "2026-11-29T00:00:00+00:00"})
    source = Catalogue(tmp_path / "in", gone if why == "forgotten" else Forgotten())
    summary = prepare(source, tmp_path / "out", PrepareConfig(min_board_pins=1))
    assert Catalogue(tmp_path / "out/catalogue").read("queries", ["query"])["query"].to_pylist() == ["hats"]
    assert summary["queries"]["dropped"] == {"title of a board whose user may not be used": 1}
