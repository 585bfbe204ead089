"""Schedules as code: what `apply` does to a server, whatever stands there, and backfills of the past."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from model.errors import ClusterError, ConfigError
from pipelines import packages
from pipelines.schedule_file import read_schedules, wanted
from pipelines.schedules import SCHEDULES, Standing, backfill, changes, named, overview, plan

NIGHTLY = {
    "pipeline": "training",
    "cron": "0 0 2 * * *",
    "settings": {"profile": "smoke", "train": {"epochs": 2}},
    "arguments": {"catalogue": "/data/pins"},
}


def file(folder: Path, **schedules: dict) -> Path:
    path = folder / "schedules.yaml"
    path.write_text(yaml.safe_dump({"experiment": "pinclip", "schedules": schedules}))
    return path


def apply(host: str, path: Path) -> dict[str, str]:
    board, planned = changes(host, path)
    for change in planned:
        board.carry_out(change)
    return {change.name: change.verdict for change in planned}


@pytest.fixture
def tiny(monkeypatch):
    """A second pipeline to schedule: two parameters, a second to compile nothing of."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    monkeypatch.setitem(packages.PIPELINES, "tiny", "tiny:tiny")
    return {"pipeline": "tiny", "cron": "0 0 * * * *", "deploy_profile": "local", "arguments": {"behaviour": "well"}}


def test_apply_makes_what_the_file_says_and_the_second_time_nothing(server, host, tmp_path):
    path = file(tmp_path, nightly=NIGHTLY)
    assert apply(host, path) == {"nightly": "made"}
    before = server.changes()
    assert apply(host, path) == {"nightly": "unchanged"}
    assert server.changes() == before

    (row,) = server.rows["recurring_runs"].values()
    assert row["trigger"] == {"cron_schedule": {"cron": "0 0 2 * * *"}}
    assert (row["mode"], row["no_catchup"], row["max_concurrency"]) == ("ENABLE", True, 1)
    parameters = row["runtime_config"]["parameters"]
    # KFP fills the time in when it starts a run, of an uploaded version only: none may carry its pipeline along.
    assert parameters["run"] == parameters["lineage"]["schedule"] == "nightly-[[ScheduledTime]]"
    assert "pipeline_spec" not in row
    (uploaded,) = server.uploads.values()
    assert uploaded[0]["root"]["inputDefinitions"]["parameters"]["train_config"]["defaultValue"]["epochs"] == 2


def test_a_changed_schedule_is_made_anew_before_the_old_one_goes_and_a_run_at_work_goes_on(server, host, tmp_path):
    apply(host, file(tmp_path, nightly=NIGHTLY))
    (old,) = server.rows["recurring_runs"]
    assert apply(host, file(tmp_path, nightly=NIGHTLY | {"cron": "0 0 3 * * *"})) == {"nightly": "made anew"}
    assert server.changes()[-2:] == [
        "RecurringRunService_CreateRecurringRun",
        "RecurringRunService_DeleteRecurringRun",
    ]
    assert server.deleted == {old: "ORPHAN"}
    assert server.named("recurring_runs")["nightly"]["trigger"]["cron_schedule"]["cron"] == "0 0 3 * * *"


def test_another_commit_makes_the_schedule_anew(server, host, tmp_path, monkeypatch):
    path = file(tmp_path, nightly=NIGHTLY)
    apply(host, path)
    monkeypatch.setattr("pipelines.lineage.git_revision", lambda folder: "the-next-commit")
    assert apply(host, path) == {"nightly": "made anew"}
    assert len(server.rows["pipeline_versions"]) == 1  # the pipeline itself is the same


def test_several_pipelines_by_name_and_one_that_left_the_file(server, host, tmp_path, tiny):
    assert apply(host, file(tmp_path, nightly=NIGHTLY, hourly=tiny)) == {"nightly": "made", "hourly": "made"}
    hourly = server.named("recurring_runs")["hourly"]
    assert hourly["runtime_config"]["parameters"] == {"behaviour": "well"}
    assert set(server.named("pipelines")) == {"pinclip-training", "tiny"}
    assert apply(host, file(tmp_path, hourly=tiny)) == {"nightly": "removed", "hourly": "unchanged"}
    assert set(server.named("recurring_runs")) == {"hourly"}


def test_what_others_made_is_left_alone(server, host, tmp_path, tiny):
    apply(host, file(tmp_path, hourly=tiny))
    (row,) = server.rows["recurring_runs"].values()
    server.rows["recurring_runs"]["theirs"] = row | {"recurring_run_id": "theirs", "description": "made by hand"}
    apply(host, file(tmp_path, other=tiny))
    assert set(server.named("recurring_runs")) == {"hourly", "other"}
    assert "theirs" in server.rows["recurring_runs"]


def test_a_refused_change_leaves_the_old_schedule_standing(server, host, tmp_path, tiny):
    apply(host, file(tmp_path, hourly=tiny))
    before = dict(server.rows["recurring_runs"])
    server.refuse["RecurringRunService_CreateRecurringRun"] = 500
    with pytest.raises(ClusterError, match="refused with 500"):
        apply(host, file(tmp_path, hourly=tiny | {"cron": "0 5 * * * *"}))
    assert server.rows["recurring_runs"] == before


def test_killed_between_making_and_deleting_the_next_apply_tidies_up(server, host, tmp_path, tiny):
    apply(host, file(tmp_path, hourly=tiny))
    changed = file(tmp_path, hourly=tiny | {"cron": "0 5 * * * *"})
    server.refuse["RecurringRunService_DeleteRecurringRun"] = 500
    with pytest.raises(ClusterError):
        apply(host, changed)
    assert len(server.rows["recurring_runs"]) == 2
    server.refuse.clear()
    assert apply(host, changed) == {"hourly": "double removed"}
    (left,) = server.rows["recurring_runs"].values()
    assert left["trigger"]["cron_schedule"]["cron"] == "0 5 * * * *"


def test_a_paused_schedule_stays_paused_even_when_made_anew(server, host, tmp_path, tiny):
    path = file(tmp_path, hourly=tiny)
    apply(host, path)
    board, (one,) = named(host, path, "hourly")
    board.pause(one, True)
    assert apply(host, path) == {"hourly": "unchanged"}
    assert apply(host, file(tmp_path, hourly=tiny | {"cron": "0 5 * * * *"})) == {"hourly": "made anew"}
    assert overview(host, path) == ["hourly  0 5 * * * *  paused  (as in the file)"]
    board, (one,) = named(host, path, "hourly")
    board.pause(one, False)
    assert overview(host, path) == ["hourly  0 5 * * * *  on  (as in the file)"]


def test_the_overview_says_what_apply_would_do(server, host, tmp_path, tiny):
    three = dict.fromkeys(("a", "b", "c"), tiny)  # more than the server answers at once
    apply(host, file(tmp_path, **three))
    path = file(tmp_path, a=tiny, b=tiny | {"at_a_time": 2}, d=tiny)
    assert overview(host, path) == [
        "d  not on the cluster  (apply makes it)",
        "a  0 0 * * * *  on  (as in the file)",
        "b  0 0 * * * *  on  (differs from the file, apply makes it anew)",
        "c  0 0 * * * *  on  (not in the file, apply removes it)",
    ]


def test_delete_takes_one_off_and_an_unknown_name_is_told(server, host, tmp_path, tiny):
    path = file(tmp_path, a=tiny, b=tiny)
    apply(host, path)
    board, (one,) = named(host, path, "a")
    board.delete(one)
    assert set(server.named("recurring_runs")) == {"b"}
    with pytest.raises(ConfigError, match="has no schedule a; there is b"):
        named(host, path, "a")


def test_a_backfill_catches_up_within_its_window_and_apply_leaves_it(server, host, tmp_path, tiny):
    path = file(tmp_path, hourly=tiny)
    apply(host, path)
    change = backfill(host, path, None, "2026-11-01", "2026-11-03")
    assert (change.name, change.verdict) == ("hourly-backfill-2026-11-01-2026-11-03", "made")
    row = server.named("recurring_runs")[change.name]
    # KFP runs what comes after the start and not after the end: midnight of the first day is in, of the fourth is out.
    assert row["trigger"]["cron_schedule"] == {
        "cron": "0 0 * * * *",
        "start_time": "2026-10-31T23:59:59+00:00",
        "end_time": "2026-11-03T23:59:59+00:00",
    }
    assert row["no_catchup"] is False
    assert backfill(host, path, "hourly", "2026-11-01", "2026-11-03").verdict == "unchanged"
    assert apply(host, path) == {"hourly": "unchanged"}
    assert overview(host, path)[1] == f"{change.name}  0 0 * * * *  on  (backfill)"


def test_a_night_run_again_by_a_backfill_is_the_same_run_in_mlflow(server, host, tmp_path):
    path = file(tmp_path, nightly=NIGHTLY)
    apply(host, path)
    change = backfill(host, path, "nightly", "2026-11-01T02:00:00", "2026-11-01T02:00:00+00:00")
    rows = server.named("recurring_runs")
    night, again = rows["nightly"], rows[change.name]
    assert night["runtime_config"] == again["runtime_config"]
    assert again["trigger"]["cron_schedule"]["start_time"] == "2026-11-01T01:59:59+00:00"


@pytest.mark.parametrize(
    ("first", "last", "says"),
    [
        ("2026-11-03", "2026-11-01", "--from 2026-11-03 comes after --to 2026-11-01"),
        ("yesterday", "2026-11-01", "--from yesterday is no date; write 2026-11-23"),
        ("2026-11-01", f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}", "is not over yet"),
    ],
)
def test_a_window_that_cannot_be_is_told_before_anything_is_sent(tmp_path, tiny, first, last, says):
    with pytest.raises(ConfigError, match=says):
        backfill(None, file(tmp_path, hourly=tiny), None, first, last)


def test_which_schedule_to_backfill_must_be_clear(tmp_path, tiny):
    path = file(tmp_path, a=tiny, b=tiny)
    with pytest.raises(ConfigError, match="holds several schedules; choose one of a, b with --schedule"):
        backfill(None, path, None, "2026-11-01", "2026-11-01")
    with pytest.raises(ConfigError, match="There is no schedule c in"):
        backfill(None, path, "c", "2026-11-01", "2026-11-01")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"cron": "0 2 * * *"}, r"schedules.nightly.cron \('0 2 \* \* \*'\): a schedule has six fields, seconds first"),
        ({"crom": "x"}, "unknown key schedules.nightly.crom; did you mean cron?"),
        ({"pipeline": "training2"}, "There is no pipeline training2; choose one of training"),
        ({"deploy_profile": "moon"}, "There is no deploy profile moon; choose one of cluster, local"),
        ({"settings": {"profile": "huge"}}, "no profile 'huge'"),
        ({"arguments": {}}, "The schedule nightly lacks pinclip-training's argument catalogue"),
        ({"arguments": {"catalogue": "/x", "speed": 1}}, "has the argument speed, but pinclip-training takes"),
    ],
)
def test_a_schedule_that_does_not_fit_is_one_sentence(tmp_path, change, says):
    with pytest.raises(ConfigError, match=says):
        schedules = read_schedules(file(tmp_path, nightly=NIGHTLY | change))
        wanted("nightly", schedules.schedules["nightly"])


def test_every_schedule_shipped_can_be_made():
    for name, schedule in read_schedules(SCHEDULES).schedules.items():
        assert wanted(name, schedule).digest == wanted(name, schedule).digest


def test_the_digest_sees_all_that_the_server_is_told(tmp_path, tiny):
    schedule = read_schedules(file(tmp_path, hourly=tiny)).schedules["hourly"]
    wish = wanted("hourly", schedule)
    others = [
        replace(wish, schedule=schedule.model_copy(update={key: value}))
        for key, value in {"cron": "1 0 * * * *", "catch_up": True, "at_a_time": 3}.items()
    ]
    others += [replace(wish, arguments={"behaviour": "bug"}), replace(wish, service_account="other")]
    others += [replace(wish, start="2026-11-01"), replace(wish, end="2026-11-01")]
    others += [replace(wish, package=replace(wish.package, text="another"))]
    assert len({one.digest for one in (wish, *others)}) == len(others) + 1


NAMES, DIGESTS = st.sampled_from("abc"), st.sampled_from("xyz")


@given(st.dictionaries(NAMES, DIGESTS), st.lists(st.tuples(NAMES, DIGESTS, st.booleans())))
def test_after_any_plan_every_wish_stands_once_and_a_second_plan_is_empty(wishes, there):
    wanted_ones = [SimpleNamespace(name=name, digest=digest) for name, digest in wishes.items()]
    standing = [
        Standing(str(i), name, "schedule", digest, paused, "") for i, (name, digest, paused) in enumerate(there)
    ]
    planned = plan(wanted_ones, standing)

    gone = {one.id for change in planned for one in change.removed}
    after = [one for one in standing if one.id not in gone]
    after += [
        Standing(f"new {change.name}", change.name, "schedule", change.wanted.digest, False, "")
        for change in planned
        if change.wanted and not change.kept
    ]
    assert sorted((one.name, one.digest) for one in after) == sorted(wishes.items())
    assert {change.verdict for change in plan(wanted_ones, after)} <= {"unchanged"}
    assert all(one in after for one in standing if wishes.get(one.name) == one.digest and one.id not in gone)
