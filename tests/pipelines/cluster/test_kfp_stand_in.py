"""The stand-in against what a real KFP 2.16.1 was seen to do: shapes, names, and the fault of every night."""

import json
from pathlib import Path

import pytest
from kfp_driver import Driver, next_name

from components.configuration import load
from pipelines.cluster.client import Cluster
from pipelines.cluster.compilation import package
from pipelines.cluster.profiles import read_profile
from pipelines.lineage import unread_lineage

RECORDED = Path(__file__).parents[3].parent / "shared" / "cluster"


def recorded(name: str) -> dict | list:
    path = RECORDED / name
    if not path.is_file():
        pytest.skip(f"{path} is absent: what a real server said is lent beside the checkout, not part of it")
    return json.loads(path.read_text())


def scheduled(host: str, run: str) -> None:
    """A recurring run as it was made before, with all that differs from night to night as a parameter."""
    cluster = Cluster(host)
    pipeline_id, version_id = cluster.upload(package("training", load("smoke"), read_profile("cluster")))
    cluster.call(
        cluster.client.create_recurring_run,
        cluster.experiment("lab"),
        "often",
        cron_expression="0 */6 * * * *",
        params={"catalogue": "/data/pins", "run": run, "lineage": unread_lineage("/data/pins", run)},
        pipeline_id=pipeline_id,
        version_id=version_id,
        service_account="pinclip-pipeline",
    )


def test_the_night_that_came_from_the_cache(server, host):
    """The time stays as it was written, so the second night is the first one: as recorded, pod by pod."""
    scheduled(host, "often-[[ScheduledTime]]")
    (number,) = server.rows["recurring_runs"]
    driver = Driver(server)
    first, second = (driver.fire(number) for _ in range(2))
    assert first.inputs["register"]["run"] == second.inputs["register"]["run"] == "often-[[ScheduledTime]]"
    assert len(first.ran) == 14
    assert second.ran == ["compare", "register", "report", "publish"]
    night = recorded("workflow-scheduled-third-night-all-cached.json")["status"]["nodes"].values()
    executed = {node["name"].split(".")[-2] for node in night if node["displayName"] == "executor(0)"}
    assert executed == set(second.ran)


def test_answers_have_the_shape_of_a_real_servers(server, host):
    scheduled(host, "often")
    for kind, name, key in (
        ("recurring_runs", "kfp-recurring-runs.json", "recurringRuns"),
        ("experiments", "kfp-experiments.json", "experiments"),
    ):
        real = recorded(name)[key][0]
        (ours,) = server.rows[kind].values()
        assert set(real) - {"last_run_created_at"} - set(ours) <= {"description", "no_catchup", "max_concurrency"}, kind
        assert real.get("service_account") == ours.get("service_account")


def test_workflows_are_named_as_the_controller_named_them():
    (one,) = recorded("scheduledworkflow.json")
    for run in one["status"]["workflowHistory"]["completed"]:
        assert next_name(one["metadata"]["name"], run["index"]) == run["name"]
