"""The generated catalogue: the contract, determinism, and that what was planted can be found again."""

import re

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.data.catalogue import PINS, TEXT_SIGNALS, Catalogue, joined_texts
from model.errors import ConfigError
from model.sources.synthetic import planting
from model.sources.synthetic.generate import SyntheticConfig, generate
from model.sources.synthetic.phrases import MISSING
from model.sources.synthetic.scenes import render_scene
from model.sources.synthetic.styles import STYLES
from model.sources.synthetic.themes import OBJECTS, THEMES, stream

# Stems of anything that would give a style away, beside the styles' own names.
STYLE_WORDS = (
    "water",
    "outline",
    "line art",
    "halftone",
    "print",
    "pixel",
    "vignette",
    "photo",
    "vintage",
    "retro",
    "sepia",
    "neon",
    "glow",
    "poster",
    "flat",
    "engrav",
    "etch",
    "hatch",
    "sketch",
    "draw",
    "paint",
    "style",
    "ink",
    "blur",
)
CONFIG = SyntheticConfig(pins=1200, boards=240, seed=7)


@pytest.fixture(scope="module")
def counts_and_catalogue(tmp_path_factory):
    out = tmp_path_factory.mktemp("synthetic") / "catalogue"
    return generate(CONFIG, out), Catalogue(out)


@pytest.fixture(scope="module")
def catalogue(counts_and_catalogue):
    return counts_and_catalogue[1]


@pytest.fixture(scope="module")
def plan():
    return planting.plant(CONFIG.pins, CONFIG.seed, CONFIG.fresh_share)


def pin_numbers(table):
    return np.array([int(pin_id.split("-")[1]) for pin_id in table.column("pin_id").to_pylist()])


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"pins": 0}, "pins 0"),
        ({"pins": -5}, "pins -5"),
        ({"boards": 0}, "boards 0"),
        ({"pins": 10, "boards": 11}, r"one a Pin \(10\)"),
        ({"seed": -1}, "seed -1"),
        ({"seed": 2**63}, "seed"),
        ({"fresh_share": 0.9}, "fresh_share 0.9"),
        ({"fresh_share": float("nan")}, "fresh_share nan"),
        ({"image_size": 8}, "image_size 8"),
        ({"saves_per_pin": 0}, "saves_per_pin 0"),
        ({"queries_per_pin": -0.1}, "queries_per_pin"),
    ],
)
def test_a_number_out_of_range_is_refused_in_one_sentence(wrong, says):
    with pytest.raises(ConfigError, match=says) as refused:
        SyntheticConfig(**wrong)
    assert str(refused.value).endswith(".")
    assert "choose" in str(refused.value)


def test_the_catalogue_keeps_the_contract_and_the_counts(counts_and_catalogue):
    counts, catalogue = counts_and_catalogue
    assert catalogue.columns("pins") == [*PINS.names, "slice_palette", "slice_region"]
    assert {table: catalogue.count(table) for table in ("pins", "boards", "queries")} == {
        "pins": counts["pins"],
        "boards": counts["edges"],
        "queries": counts["clicked"],
    }
    pins = catalogue.read("pins", ["pin_id", "group_id", "consent"])
    assert len(set(pins.column("pin_id").to_pylist())) == CONFIG.pins
    assert len(set(pins.column("group_id").to_pylist())) == counts["groups"] < CONFIG.pins
    assert 0 < pins.column("consent").to_pylist().count(False) < 0.06 * CONFIG.pins
    assert len(set(catalogue.read("boards", ["board_id"]).column(0).to_pylist())) == CONFIG.boards == counts["boards"]
    assert len(set(catalogue.read("queries", ["query"]).column(0).to_pylist())) == counts["queries"]


def test_the_progress_rises_to_one(tmp_path):
    seen = []
    generate(SyntheticConfig(pins=30, boards=3), tmp_path / "c", lambda fraction, message: seen.append(fraction))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_the_same_configuration_gives_the_same_bytes_and_another_seed_others(tmp_path):
    configs = {"one": 3, "two": 3, "three": 4}
    for name, seed in configs.items():
        generate(SyntheticConfig(pins=60, boards=8, seed=seed), tmp_path / name)
    digests = {name: Catalogue(tmp_path / name).digest() for name in configs}
    assert digests["one"] == digests["two"] != digests["three"]


def test_processes_that_draw_side_by_side_give_the_same_bytes(tmp_path, monkeypatch, catalogue):
    monkeypatch.setattr("model.sources.synthetic.generate.ALONE", 0)
    generate(CONFIG, tmp_path / "by-processes")
    assert Catalogue(tmp_path / "by-processes").digest() == catalogue.digest()


def test_in_a_large_catalogue_a_board_or_query_knows_the_pins_around_one(plan, monkeypatch):
    """Of a catalogue that is not large they know all, and nothing changes."""
    whole = [list(board.pins) for board in planting.boards(plan, 240, 3.0)]
    monkeypatch.setattr(planting, "STRETCH", 300)
    assert [list(board.pins) for board in planting.boards(plan, 240, 3.0)] == whole
    monkeypatch.setattr(planting, "WHOLE", 1199)
    boards, queries = list(planting.boards(plan, 240, 3.0)), list(planting.queries(plan, 100))
    assert all(np.ptp(one.pins) < 300 and len(set(one.pins)) == len(one.pins) for one in (*boards, *queries))
    assert max(one.pins.max() for one in boards) > 1100 and min(one.pins.min() for one in boards) < 100
    themed = [np.mean(plan.theme[board.pins] == planting.THEME_NAMES.index(board.theme)) for board in boards]
    assert np.mean(themed) > 0.7


def test_a_pin_does_not_depend_on_what_was_drawn_before_it(plan, catalogue):
    images = catalogue.read("pins", ["image"]).column(0)
    for pin in (1199, 0, 600):
        assert images[pin].as_py() == render_scene(plan.scene(pin), CONFIG.seed, int(plan.group[pin]), pin, 64)


def test_streams_of_one_seed_do_not_meet():
    firsts = {stream(1, domain, index).integers(2**62) for domain in range(5) for index in (0, 1, 2**63)}
    assert len(firsts) == 15


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pins=st.integers(2, 40),
    boards=st.integers(1, 40),
    seed=st.integers(0, 2**63 - 1),
    fresh_share=st.floats(0, 0.85),
    queries=st.floats(0, 2),
)
def test_any_small_catalogue_is_whole(tmp_path, pins, boards, seed, fresh_share, queries):
    config = SyntheticConfig(pins, min(boards, pins), seed, fresh_share, image_size=16, queries_per_pin=queries)
    counts = generate(config, tmp_path / "any")
    catalogue = Catalogue(tmp_path / "any")
    known = set(catalogue.read("pins", ["pin_id"]).column(0).to_pylist())
    assert len(known) == pins
    saves = catalogue.read("boards", ["board_id", "pin_id"]).to_pylist()
    assert {save["pin_id"] for save in saves} <= known
    assert len({(save["board_id"], save["pin_id"]) for save in saves}) == len(saves) == counts["edges"]
    clicks = catalogue.read("queries", ["query", "pin_id", "clicks"]).to_pylist()
    assert {row["pin_id"] for row in clicks} <= known
    assert len({(row["query"], row["pin_id"]) for row in clicks}) == len(clicks) == counts["clicked"]
    assert all(row["clicks"] >= 1 for row in clicks)


def test_users_are_named_when_asked_for_and_nothing_else_changes(tmp_path, catalogue):
    config = SyntheticConfig(pins=200, boards=60, users=20, seed=7)
    counts = generate(config, tmp_path / "named")
    generate(SyntheticConfig(pins=200, boards=60, seed=7), tmp_path / "plain")
    named, plain = Catalogue(tmp_path / "named"), Catalogue(tmp_path / "plain")
    for table in ("pins", "boards", "queries"):
        assert named.read(table, plain.columns(table)).equals(plain.read(table, plain.columns(table)))
    assert sorted(path.name for path in plain.root.iterdir()) == ["boards", "pins", "queries"]
    users = named.read("users", ["user_id", "consent"])["user_id"].to_pylist()
    boards = named.read("boards", ["board_id", "user_id"]).group_by(["board_id", "user_id"]).aggregate([]).to_pylist()
    assert len(boards) == 60
    assert {row["user_id"] for row in boards} == {*users}
    assert len(users) == counts["users"] == 20
    likes = named.read("preferences", ["user_id", "pin_id", "weight", "time"]).to_pylist()
    saved = {(row["user_id"], row["pin_id"]) for row in named.read("boards", ["user_id", "pin_id"]).to_pylist()}
    assert 0 < len(likes) == counts["preferences"]
    assert {(row["user_id"], row["pin_id"]) for row in likes} <= saved


def test_no_text_says_a_style(catalogue):
    pins = catalogue.read("pins", list(TEXT_SIGNALS))
    texts = [text for signal in TEXT_SIGNALS for text in joined_texts(pins.column(signal).to_pylist())]
    texts += catalogue.read("boards", ["title"]).column(0).to_pylist()
    texts += catalogue.read("queries", ["query"]).column(0).to_pylist()
    found = re.findall(rf"\b(?:{'|'.join((*STYLES, *STYLE_WORDS))})", " ".join(texts).lower())
    assert not found


def test_missing_texts_stay_near_their_shares(catalogue):
    for signal, share in MISSING.items():
        missing = catalogue.read("pins", [signal]).column(0).null_count / CONFIG.pins
        assert abs(missing - share) < 0.05, signal


def test_long_texts_are_long_and_annotations_are_a_few_words(catalogue):
    pins = catalogue.read("pins", ["description", "caption", "annotations"]).to_pylist()
    assert np.mean([len(pin["description"].split()) for pin in pins if pin["description"]]) > 10
    assert np.mean([len(pin["caption"].split()) for pin in pins if pin["caption"]]) > 7
    lengths = [len(pin["annotations"]) for pin in pins if pin["annotations"] is not None]
    assert min(lengths) >= 1
    assert max(lengths) <= 5


def test_boards_gather_by_theme_and_by_style_and_sizes_have_a_tail(plan, catalogue):
    saves = catalogue.read("boards", ["board_id", "pin_id"])
    pins, names = pin_numbers(saves), np.array(saves.column("board_id").to_pylist())
    members = [pins[names == name] for name in np.unique(names)]
    for latent, least in ((plan.theme, 0.7), (plan.style, 0.6)):
        shares = [np.bincount(latent[board]).max() / len(board) for board in members if len(board) >= 5]
        by_chance = np.bincount(latent).max() / len(latent)
        assert least < np.mean(shares) < 0.97, "pure beyond doubt, yet with noise"
        assert np.mean(shares) > 3 * by_chance
    sizes = sorted(len(board) for board in members)
    assert sum(sizes[-len(sizes) // 5 :]) > 0.4 * sum(sizes), "a fifth of the boards hold two saves of five"


def test_neighbours_carry_what_the_texts_lack(plan):
    """The theme alone, all that a caption can say, ranks board neighbours far worse than theme and style."""
    together = np.zeros((CONFIG.pins, CONFIG.pins), dtype=bool)
    for board in planting.boards(plan, CONFIG.boards, 3.0):
        together[np.ix_(board.pins, board.pins)] = True
    np.fill_diagonal(together, False)
    theme = plan.theme[:, None] == plan.theme
    both = theme & (plan.style[:, None] == plan.style)
    assert together[both].mean() > 2.5 * together[theme].mean()
    assert together[theme].mean() > 2.5 * together.mean()


def test_boards_are_saved_after_the_pin_was_made(plan, catalogue):
    saves = catalogue.read("boards", ["pin_id", "saved_at"])
    saved = saves.column("saved_at").cast("int64").to_numpy()
    assert (saved >= plan.created[pin_numbers(saves)]).all()
    assert saved.max() <= planting.END


def test_clicks_go_to_what_the_query_says(plan, catalogue):
    rows = catalogue.read("queries", ["query", "pin_id", "clicks"])
    word_themes = {word: theme for theme, entry in THEMES.items() for word in entry.words}
    right = []
    for query, pin in zip(rows.column("query").to_pylist(), pin_numbers(rows), strict=True):
        scene = plan.scene(int(pin))
        words = query.split()
        themes = {word_themes[word] for word in words if word in word_themes}
        things = {word for word in words if word in OBJECTS}
        assert themes or things
        right.append(themes <= {scene.theme} and things <= set(scene.objects))
    assert 0.97 < np.mean(right) < 1.0, "some stray clicks, and no more"
    clicks = rows.column("clicks").to_numpy()
    assert np.median(clicks) * 5 < clicks.max()


def test_the_fresh_pins_are_the_newest_groups_and_have_boards(plan, counts_and_catalogue):
    counts, catalogue = counts_and_catalogue
    created = catalogue.read("pins", ["created_at"]).column(0).cast("int64").to_numpy()
    assert created[plan.fresh].min() >= planting.FRESH_SINCE > created[~plan.fresh].max()
    assert not set(plan.group[plan.fresh]) & set(plan.group[~plan.fresh])
    assert counts["fresh"] == plan.fresh.sum() == pytest.approx(CONFIG.fresh_share * CONFIG.pins, rel=0.15)
    assert np.isin(np.flatnonzero(plan.fresh), pin_numbers(catalogue.read("boards", ["pin_id"]))).mean() > 0.7
    assert abs(np.corrcoef(created, np.arange(len(created)))[0, 1]) < 0.1, "rows must not be sorted by time"


def test_the_hard_region_has_fewer_saves_and_rarer_themes(plan, catalogue):
    saved = np.bincount(pin_numbers(catalogue.read("boards", ["pin_id"])), minlength=CONFIG.pins)
    hard = plan.region == len(planting.REGION_NAMES) - 1
    assert saved[hard].mean() < 0.7 * saved[~hard].mean()
    assert (plan.theme[hard] >= 8).mean() > 1.5 * (plan.theme[~hard] >= 8).mean()


def test_an_old_catalogue_stays_when_generating_fails(tmp_path, monkeypatch):
    out = tmp_path / "catalogue"
    generate(SyntheticConfig(pins=20, boards=2), out)
    before = Catalogue(out).digest()

    def interrupted(fraction, message):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(SyntheticConfig(pins=20, boards=2, seed=1), out, interrupted)
    assert Catalogue(out).digest() == before
    assert [path.name for path in tmp_path.iterdir()] == ["catalogue"]


def test_rows_come_in_bounded_row_groups(catalogue):
    for shard in catalogue.shards("pins"):
        metadata = pq.ParquetFile(shard).metadata
        assert max(metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)) <= 1024
