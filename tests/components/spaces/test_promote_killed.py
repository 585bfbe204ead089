"""A sync that is killed at any step leaves readers with the old space or the new one, and the next call finishes."""

import threading
import time

import numpy as np
import pytest
from promoted_pins import (
    CONFIG,
    Reader,
    champion,
    exit_code,
    home_of_children,
    serving,
    set_champion,
    settings_of,
    sync_in_a_child,
)
from served_pins import IDS, TITLES, drawn

from components.spaces import serving_history
from components.spaces.paths import state_folder
from components.spaces.promote import promote, sync
from components.spaces.published_spaces import published_space
from serving.index import PinIndex

pytestmark = pytest.mark.timeout(900)  # a dozen processes, one after the other

# Where the child dies: a message that the sync reports, or a function whose first call it does not outlive.
POINTS = [
    "components.spaces.embed_missing:prepare",
    "components.spaces.promote:embed_missing",
    "components.spaces.materialize:apply_objects",
    "components.spaces.feature_store:write_newer",
    "components.spaces.materialize:bring_online",
    "all equal",
    "serving.index.storage:write_snapshot_files",
    "of the nearest Pins",
    "components.spaces.promote:serving_space",
    "components.spaces.switch:tag_serving_times",
    "components.spaces.serving_history:append_event",
    "serves",
]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    with home_of_children(tmp_path_factory.mktemp("kills")) as home:
        yield home


def child(home, point: str) -> int:
    return exit_code(sync_in_a_child, settings_of(home), point)


def test_killed_at_any_step_the_next_call_finishes_and_no_reader_sees_a_mixture(home):
    old, new = home.published(1 / 100), home.published(1 / 127)
    set_champion(home, old)
    sync(CONFIG, home.settings)
    set_champion(home, new)
    home.add_pins([f"later-{i}" for i in range(3)])
    reader, seen, wrong, stop = Reader(home, [old, new], IDS[::7]), [], [], threading.Event()

    def read_on() -> None:
        while not (stop.is_set() or wrong):
            try:
                seen.append(reader.look())
                time.sleep(0.1)
            except Exception as error:
                wrong.append(error)

    watching = threading.Thread(target=read_on)
    watching.start()
    try:
        ends = {point: (child(home, point), serving(home)) for point in POINTS}
    finally:
        stop.set()
        watching.join()
    assert not wrong, wrong
    assert child(home, "") == 0
    assert reader.look() == new
    assert {seen[0], seen[-1]} == {old, new}
    assert seen == sorted(seen, key=[old, new].index)  # once, and never back

    died = [point for point, (code, _) in ends.items() if code == 9]
    assert {code for code, _ in ends.values()} <= {0, 9}
    switched = POINTS.index("components.spaces.switch:tag_serving_times")
    assert {serving for point, (_, serving) in ends.items() if POINTS.index(point) < switched} == {old}
    assert len(died) >= len(POINTS) - 1, ends  # what is done is not done again: not every point is met
    assert [(one.event, one.space) for one in serving_history.read_events(home.settings)][-1] == ("promoted", new)
    assert (
        len([one for one in serving_history.read_events(home.settings) if one.space == new and one.event == "promoted"])
        == 1
    )
    ids = published_space(new, home.settings).manifest.newest().ids.to_pylist()
    assert sorted(ids) == sorted([*IDS, *(f"later-{i}" for i in range(3))])
    assert len(PinIndex.open(state_folder(new, home.settings) / "index", new)) == len(ids)


def test_a_pin_that_came_later_gets_the_vector_of_the_model_and_one_without_consent_none(home):
    space = home.published(1 / 110)
    home.add_pins(["agreed", "refused", "broken"], consent=[True, False, True], image=[drawn(5), drawn(6), b"no image"])
    set_champion(home, space)
    done = sync(CONFIG, home.settings)
    assert done.index_recall > 0.99
    stored = published_space(space, home.settings).manifest.newest()
    ids = stored.ids.to_pylist()
    assert done.added == 1
    assert "agreed" in ids
    assert not {"refused", "broken"} & set(ids)
    affine = published_space(space, home.settings).manifest.affine
    expected = affine.quantize(home.embedder.pins([drawn(5)], [{"title": "agreed"}]))[0]
    assert np.abs(stored.codes_NE[ids.index("agreed")].astype(int) - expected).max() <= 1
    assert sync(CONFIG, home.settings).added == 0


def test_a_version_that_was_never_published_is_embedded_whole(home):
    registration = home.version(passed=False)
    done = promote(registration.version, "the only one that knows shoes", CONFIG, home.settings)
    assert (done.space, done.former is None, serving(home)) == (registration.space, False, registration.space)
    assert champion(home) == registration.space
    version = home.client.get_model_version("pinclip", str(registration.version))
    assert version.tags["pinclip.forced"] == "the only one that knows shoes"
    assert serving_history.read_events(home.settings)[-1].reason == "the only one that knows shoes"
    space = published_space(registration.space, home.settings)
    stored, affine = space.manifest.newest(), space.manifest.affine
    row = stored.ids.to_pylist().index(IDS[7])
    likeness = affine.vectors(stored.codes_NE[row][None])[0] @ home.embedder.pins([drawn(7)], [{"title": TITLES[7]}])[0]
    assert likeness > 0.99
    sync(CONFIG, home.settings)  # and a scheduled one lets it serve on, for it carries the reason
    assert serving(home) == registration.space
