"""Schedules as code: what `apply` does to a server, whatever stands there, and what KFP makes of it night by night."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from kfp_driver import Driver

from model.errors import ClusterError, ConfigError
from pipelines.cluster import compilation
from pipelines.cluster.schedule_file import read_schedules, wanted
from pipelines.cluster.schedules import SCHEDULES, Standing, changes, find_recurring_runs, other_account, overview, plan

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
    recurring, planned = changes(host, path)
    for change in planned:
        recurring.carry_out(change)
    return {change.name: change.verdict for change in planned}


@pytest.fixture
def tiny(monkeypatch):
    """A second pipeline to schedule: two parameters, a second to compile nothing of."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1])
    monkeypatch.setitem(compilation.PIPELINES, "tiny", "tiny_pipeline:tiny")
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
    assert set(parameters) == {"catalogue", "lineage"}  # `run` is KFP's to say, night by night
    assert parameters["lineage"]["schedule"] == "nightly"
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
    recurring, (one,) = find_recurring_runs(host, path, "hourly")
    recurring.pause(one, True)
    assert apply(host, path) == {"hourly": "unchanged"}
    assert apply(host, file(tmp_path, hourly=tiny | {"cron": "0 5 * * * *"})) == {"hourly": "made anew"}
    assert overview(host, path) == ["hourly  0 5 * * * *  paused  as default-editor  (as in the file)"]
    recurring, (one,) = find_recurring_runs(host, path, "hourly")
    recurring.pause(one, False)
    assert overview(host, path) == ["hourly  0 5 * * * *  on  as default-editor  (as in the file)"]


def test_the_overview_says_what_apply_would_do(server, host, tmp_path, tiny):
    three = dict.fromkeys(("a", "b", "c"), tiny)  # more than the server answers at once
    apply(host, file(tmp_path, **three))
    path = file(tmp_path, a=tiny, b=tiny | {"at_a_time": 2}, d=tiny)
    assert overview(host, path) == [
        "d  not on the cluster  (apply makes it)",
        "a  0 0 * * * *  on  as default-editor  (as in the file)",
        "b  0 0 * * * *  on  as default-editor  (differs from the file; apply replaces it)",
        "c  0 0 * * * *  on  as default-editor  (not in the file, apply removes it)",
    ]


def test_delete_takes_one_off_and_an_unknown_name_is_told(server, host, tmp_path, tiny):
    path = file(tmp_path, a=tiny, b=tiny)
    apply(host, path)
    recurring, (one,) = find_recurring_runs(host, path, "a")
    recurring.delete(one)
    assert set(server.named("recurring_runs")) == {"b"}
    with pytest.raises(ConfigError, match="has no schedule a; there is b"):
        find_recurring_runs(host, path, "a")


def test_every_night_is_a_run_of_its_own_and_learns_anew(server, host, tmp_path):
    """On a real KFP 2.16.1 the second night's steps came from the cache and joined the first night's MLflow run."""
    apply(host, file(tmp_path, nightly=NIGHTLY))
    (number,) = server.rows["recurring_runs"]
    driver = Driver(server)
    first, second = (driver.fire(number) for _ in range(2))
    for night in (first, second):
        assert len(night.ran) == 14  # nothing of it from the cache
        assert "[[" not in str(night.inputs) and "{{" not in str(night.inputs)
        runs = {night.inputs["register"]["run"]}
        assert runs == {night.workflow}
        assert night.inputs["register"]["lineage"]["schedule"] == "nightly"
    assert first.workflow != second.workflow


def test_another_try_of_a_night_joins_it(server, host, tmp_path):
    apply(host, file(tmp_path, nightly=NIGHTLY))
    (row,) = server.rows["recurring_runs"].values()
    first, retried = (Driver(server).drive(row, "nightlyabcde-1-99") for _ in range(2))
    assert first.inputs["register"]["run"] == retried.inputs["register"]["run"] == "nightlyabcde-1-99"


def test_monitoring_and_sync_look_anew_every_hour(server, host, tmp_path):
    schedules = read_schedules(SCHEDULES).schedules
    path = file(tmp_path, **{name: one.model_dump() for name, one in schedules.items() if name != "nightly-training"})
    apply(host, path)
    driver = Driver(server)
    for number in server.rows["recurring_runs"]:
        first, second = (driver.fire(number) for _ in range(2))
        assert first.ran == second.ran == list(first.inputs)


@pytest.mark.parametrize(("version", "account"), [("2.16.1", "default-editor"), ("2.17.0", "pinclip-pipeline")])
def test_the_account_that_will_run_is_compared_with_the_one_asked_for(server, host, tmp_path, version, account):
    server.version = version
    path = file(tmp_path, nightly=NIGHTLY)
    for _ in range(2):  # made, and looked at again
        recurring, (change,) = changes(host, path)
        warning = other_account(change, recurring.carry_out(change))
        assert ("KFP will run it as default-editor, not as pinclip-pipeline" in warning) == (version == "2.16.1")
    assert overview(host, path) == [f"nightly  0 0 2 * * *  on  as {account}  (as in the file)"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"cron": "0 2 * * *"}, r"schedules.nightly.cron \('0 2 \* \* \*'\): a schedule has six fields, seconds first"),
        ({"cron": "0 0 25 * * *"}, r"schedules.nightly.cron \('0 0 25 \* \* \*'\): this is no time"),
        ({"arguments": {"catalogue": "/data/[[ScheduledTime]]"}}, "FP fills no time into the arguments"),
        (
            {"settings": {"profile": "full"}},
            "would fetch google/siglip2-base-patch16-224 from the internet; put a copy",
        ),
        ({"crom": "x"}, "unknown key schedules.nightly.crom; did you mean cron?"),
        ({"pipeline": "training2"}, "There is no pipeline training2; choose one of training"),
        ({"deploy_profile": "moon"}, "There is no deploy profile moon; choose one of cluster, lab, local"),
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
    others += [replace(wish, package=replace(wish.package, text="another"))]
    assert len({one.digest for one in (wish, *others)}) == len(others) + 1


NAMES, DIGESTS = st.sampled_from("abc"), st.sampled_from("xyz")


@given(st.dictionaries(NAMES, DIGESTS), st.lists(st.tuples(NAMES, DIGESTS, st.booleans())))
def test_after_any_plan_every_wish_stands_once_and_a_second_plan_is_empty(wishes, there):
    wanted_ones = [SimpleNamespace(name=name, digest=digest) for name, digest in wishes.items()]
    standing = [Standing(str(i), name, digest, paused, "", "") for i, (name, digest, paused) in enumerate(there)]
    planned = plan(wanted_ones, standing)

    gone = {one.id for change in planned for one in change.removed}
    after = [one for one in standing if one.id not in gone]
    after += [
        Standing(f"new {change.name}", change.name, change.wanted.digest, False, "", "")
        for change in planned
        if change.wanted and not change.kept
    ]
    assert sorted((one.name, one.digest) for one in after) == sorted(wishes.items())
    assert {change.verdict for change in plan(wanted_ones, after)} <= {"unchanged"}
    assert all(one in after for one in standing if wishes.get(one.name) == one.digest and one.id not in gone)
