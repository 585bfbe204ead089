"""Users, preferences and the users of boards in an import."""

import pytest
from small_import import SPEC, run

from model.errors import SpecError

USERS = (
    SPEC.replace("title: title}", "title: title, user_id: owner}")
    + """
users: {table: profiles.csv, user_id: id, consent: opt_in}
preferences: {table: events.csv, user_id: who, pin_id: item, kind: what, weight: value, time: at}
"""
)


@pytest.fixture
def shop(data):
    (data / "boards.csv").write_text(
        'board,item,title,owner\nb,1,red,7.0\nb,2,red,7.0\nc,1,red,7\nd,1,red,8\ne,1,red,\nf,1,red,9\ng,3,red,"x\ty"\n'
    )
    (data / "profiles.csv").write_text("id,opt_in\n7,yes\n8,yes\n9,no\n10,perhaps\n,yes\n")
    (data / "events.csv").write_text(
        "who,item,what,value,at\n7.0,1,purchase,3.5,2026-01-02\n8,2,like,,\n8,3,like,0,2026-01-02\n8,3,like,much,\n"
        "9,1,like,1,someday\n,1,like,1,\n8,ghost,like,1,\n"
    )
    return data


def test_users_and_preferences(shop):
    catalogue, rows, refused = run(shop, USERS)
    assert catalogue.read("users", ["user_id", "consent"]).to_pylist() == [
        {"user_id": "7", "consent": True},
        {"user_id": "8", "consent": True},
        {"user_id": "9", "consent": False},
    ]
    likes = catalogue.read("preferences", ["user_id", "pin_id", "kind", "weight", "time"]).to_pylist()
    assert [(*list(row.values())[:4], str(row["time"])[:10]) for row in likes] == [
        ("7", "1", "purchase", 3.5, "2026-01-02"),
        ("8", "2", "like", None, "None"),
        ("9", "1", "like", 1.0, "None"),  # consent is a matter of the run, as with Pins
    ]
    owners = catalogue.read("boards", ["board_id", "user_id"]).to_pylist()
    assert [tuple(row.values()) for row in owners][2:] == [("c", "7"), ("d", "8"), ("e", None), ("f", "9")]
    assert refused == [
        ("users", "10", "consent is neither true nor false"),
        ("users", "profiles.csv line 6", "no user_id"),
        ("boards", "g → 3", "user_id holds a line break or another control character"),
        ("preferences", "8 → 3", "weight is not above 0"),
        ("preferences", "8 → 3", "weight is no number"),
        ("preferences", "events.csv line 7", "no user_id"),
        ("preferences", "8 → ghost", "no such Pin in the catalogue"),
    ]
    assert "1 × time is no date that can be read" in rows["preferences"]["reason"]
    assert all(row["read"] == row["kept"] + row["dropped"] for row in rows.values())


def test_a_title_counts_its_users_not_their_boards_and_nobody_without_consent(shop):
    """Pin 1 is on two boards of user 7, one of 8, one that names no user, and one of 9, who gave no consent."""
    catalogue, rows, _ = run(shop, USERS)
    clicks = catalogue.read("queries", ["query", "pin_id", "clicks"]).to_pylist()
    assert clicks == [
        {"query": "red", "pin_id": "1", "clicks": 3},
        {"query": "red", "pin_id": "2", "clicks": 1},
    ]
    titled = rows["queries from board_titles"]
    assert (titled["read"], titled["kept"]) == (6, 4)
    assert titled["reason"].startswith("1 × of a user without consent; 1 × asked by the user before")


def test_without_a_list_every_user_counts(shop):
    spec = "\n".join(line for line in USERS.splitlines() if not line.startswith("users:"))
    catalogue, _, _ = run(shop, spec)
    clicks = catalogue.read("queries", ["pin_id", "clicks"]).to_pylist()
    assert clicks[0] == {"pin_id": "1", "clicks": 4}
    assert not (catalogue.root / "users").exists()


def test_preferences_without_any_usable_row_are_one_sentence(shop):
    (shop / "events.csv").write_text("who,item,what,value,at\n7,ghost,like,1,\n")
    with pytest.raises(SpecError, match=r"preferences: none of the 1 rows of events\.csv was kept"):
        run(shop, USERS)


def test_optional_columns_may_be_absent(shop):
    (shop / "events.csv").write_text("who,item\n7,1\n")
    spec = USERS.replace("kind: what, weight: value, time: at", 'kind: "what?", weight: "value?", time: "at?"')
    catalogue, _, _ = run(shop, spec.replace("user_id: owner", 'user_id: "owned_by?"'))
    assert catalogue.columns("preferences") == ["user_id", "pin_id"]
    assert catalogue.columns("boards") == ["board_id", "pin_id", "title"]


def test_a_list_of_users_cannot_be_optional(shop):
    with pytest.raises(SpecError, match="users has no key 'optional'"):
        run(shop, USERS.replace("consent: opt_in", "consent: opt_in, optional: true"))
