"""Backfills: a run for every time, which is in it as a value, and a second call that goes on after a break."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from kfp_driver import Driver

from model.errors import ClusterError, ConfigError
from pipelines.cluster import backfill as backfills
from pipelines.cluster import compilation
from pipelines.cluster.backfill import backfill

NIGHTLY = {
    "pipeline": "training",
    "cron": "0 0 2 * * *",
    "settings": {"profile": "smoke"},
    "arguments": {"catalogue": "/data/pins"},
}


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(backfills, "PAUSE", 0.0)


@pytest.fixture
def tiny(monkeypatch):
    """Two steps, a second to compile nothing of."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1])
    monkeypatch.setitem(compilation.PIPELINES, "tiny", "tiny_pipeline:tiny")
    return {"pipeline": "tiny", "cron": "0 0 2 * * *", "deploy_profile": "local", "arguments": {"behaviour": "well"}}


def file(folder: Path, **schedules: dict) -> Path:
    path = folder / "schedules.yaml"
    path.write_text(yaml.safe_dump({"experiment": "pinclip", "schedules": schedules}))
    return path


def test_every_time_is_a_run_that_is_told_which_one_it_is(server, host, tmp_path):
    path = file(tmp_path, nightly=NIGHTLY)
    says = list(backfill(host, path, None, "2026-11-01", "2026-11-02"))
    assert [line.partition(", http")[0] for line in says] == [
        "nightly-20261101020000: started",
        "nightly-20261101020000: succeeded",
        "nightly-20261102020000: started",  # one at a time
        "nightly-20261102020000: succeeded",
    ]
    driver = Driver(server)
    first, second = (driver.run(number) for number in server.rows["runs"])
    assert first.inputs["register"]["run"] == "nightly-20261101020000"
    assert first.inputs["register"]["lineage"]["schedule"] == "nightly-20261101020000"
    assert len(first.ran) == len(second.ran) == 14
    assert all(run["service_account"] == "pinclip-pipeline" for run in server.rows["runs"].values())


def test_a_date_may_be_in_the_catalogues_path(server, host, tmp_path):
    path = file(tmp_path, nightly=NIGHTLY)
    list(backfill(host, path, None, "2026-11-01T02:00:00", "2026-11-01T02:00:00", "/data/pins/%Y-%m-%d"))
    (run,) = server.rows["runs"].values()
    parameters = run["runtime_config"]["parameters"]
    assert parameters["catalogue"] == parameters["lineage"]["catalogue"] == "/data/pins/2026-11-01"


def test_given_again_it_leaves_out_what_ran_well_and_runs_the_rest_on_fresh_data(server, host, tmp_path, tiny):
    path = file(tmp_path, nightly=tiny)
    server.failing.add("nightly-20261102020000")
    with pytest.raises(ClusterError, match=r"1 of 3 runs did not end well \(nightly-20261102020000\)"):
        list(backfill(host, path, "nightly", "2026-11-01", "2026-11-03"))
    server.failing.clear()
    says = list(backfill(host, path, "nightly", "2026-11-01", "2026-11-03"))
    assert [line.partition(", http")[0] for line in says] == [
        "nightly-20261101020000: has run already",
        "nightly-20261103020000: has run already",
        "nightly-20261102020000: started",
        "nightly-20261102020000: succeeded",
    ]
    driver = Driver(server)
    again = [driver.run(row["run_id"]) for row in server.rows["runs"].values() if "1102" in row["display_name"]]
    assert [one.ran for one in again] == [["first", "second"]] * 2


def test_what_the_profile_names_is_looked_up_first(server, host, tmp_path, kubernetes):
    del kubernetes.objects["/apis/kueue.x-k8s.io/v1beta2/namespaces/pinclip/localqueues/pinclip"]
    with pytest.raises(ClusterError, match="has no LocalQueue pinclip"):
        list(backfill(host, file(tmp_path, nightly=NIGHTLY), None, "2026-11-01", "2026-11-01"))
    assert not server.rows["runs"]


def test_as_many_at_once_as_the_schedule_says_and_runs_at_work_are_taken_up(server, host, tmp_path, tiny):
    path = file(tmp_path, nightly=tiny | {"at_a_time": 2})
    halfway = backfill(host, path, None, "2026-11-01", "2026-11-03")
    assert "20261101" in next(halfway) and "20261102" in next(halfway)
    halfway.close()  # Ctrl-C
    says = list(backfill(host, path, None, "2026-11-01", "2026-11-03"))
    assert [line.partition(", http")[0] for line in says][:3] == [
        "nightly-20261101020000: taken up",
        "nightly-20261102020000: taken up",
        "nightly-20261101020000: succeeded",
    ]
    assert len(server.rows["runs"]) == 3


@pytest.mark.parametrize(
    ("first", "last", "says"),
    [
        ("2026-11-03", "2026-11-01", "--from 2026-11-03 comes after --to 2026-11-01"),
        ("yesterday", "2026-11-01", "--from yesterday is no date; write 2026-11-23"),
        ("2026-11-01", f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}", "is not over yet"),
        ("2026-11-01T03:00", "2026-11-01T04:00", "Nothing would have run from 2026-11-01T03:00"),
        ("2020-01-01", "2026-11-01", "are more than 400 runs; choose a shorter time"),
    ],
)
def test_a_window_that_cannot_be_is_told_before_anything_is_sent(tmp_path, first, last, says):
    with pytest.raises(ConfigError, match=says):
        list(backfill(None, file(tmp_path, nightly=NIGHTLY), None, first, last))


def test_which_schedule_to_backfill_must_be_clear(tmp_path):
    path = file(tmp_path, a=NIGHTLY, b=NIGHTLY)
    with pytest.raises(ConfigError, match="holds several schedules; choose one of a, b with --schedule"):
        list(backfill(None, path, None, "2026-11-01", "2026-11-01"))
    with pytest.raises(ConfigError, match="There is no schedule c in"):
        list(backfill(None, path, "c", "2026-11-01", "2026-11-01"))
