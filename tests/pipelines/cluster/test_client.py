"""Submitting to a Kubeflow Pipelines server: tests/kfp_server.py holds every request to KFP's OpenAPI file."""

import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
from kfp_driver import Driver
from kfp_openapi import problems
from kfp_server import TOKEN

from components.configuration import load
from model.errors import ClusterError, ConfigError
from model.sources.synthetic.generate import SyntheticConfig, generate
from pipelines.cluster.access import http_refusal
from pipelines.cluster.client import Cluster, submit
from pipelines.cluster.compilation import package
from pipelines.cluster.profiles import read_profile

RECORDED = Path(__file__).parents[3].parent / "shared" / "cluster"


def send(host: str | None, catalogue: str = "/data/catalogues/pins") -> str:
    """Returns where to look at the run."""
    cluster, run_id = submit(host, "pinclip", catalogue, load("smoke"), read_profile("cluster"))
    return cluster.address(run_id)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ("v2beta1Run", {"display_name": "a", "no_such_key": 1}),
        ("v2beta1RecurringRun", {"mode": "SOMETIMES"}),
        ("v2beta1RecurringRun", {"trigger": {"cron_schedule": {"start_time": "yesterday"}}}),
        ("v2beta1RecurringRun", {"max_concurrency": "2", "no_catchup": "yes"}),
    ],
)
def test_the_stand_in_sees_what_the_openapi_file_forbids(schema, value):
    assert len(problems({"$ref": f"#/definitions/{schema}"}, value)) == 1


def test_the_stand_in_refuses_what_the_openapi_file_does_not_know(server, host):
    import urllib.error
    import urllib.request

    for path in ("runs?no_such=1", "no_such_path"):
        request = urllib.request.Request(f"{host}/apis/v2beta1/{path}", headers={"authorization": f"Bearer {TOKEN}"})
        with pytest.raises(urllib.error.HTTPError, match="400"):
            urllib.request.urlopen(request)
    assert len(server.wrong) == 2
    server.wrong.clear()


def test_submit_uploads_the_pipeline_once_and_starts_a_run_each_time(server, host, capfd):
    first, second = send(host), send(host)
    assert first != second
    assert server.changes() == [
        "ExperimentService_CreateExperiment",
        "PipelineService_CreatePipeline",
        "UploadPipelineVersion",
        *["RunService_CreateRun"] * 2,
    ]
    assert {f"{host}/#/runs/details/{run}" for run in server.rows["runs"]} == {first, second}
    assert capfd.readouterr() == ("", "")  # kfp's own chatter is kept back


def test_a_run_says_what_it_runs_on_and_where_it_came_from(server, host):
    send(host)
    (run,) = server.rows["runs"].values()
    (version,) = server.rows["pipeline_versions"].values()
    parameters = run["runtime_config"]["parameters"]
    assert version["name"] == package("training", load("smoke"), read_profile("cluster")).version
    assert run["service_account"] == "pinclip-pipeline"
    assert parameters["catalogue"] == parameters["lineage"]["catalogue"] == "/data/catalogues/pins"
    assert parameters["lineage"]["git_rev"] == "a-commit"
    assert parameters["lineage"]["catalogue_digest"] == ""  # nobody here can read it …
    assert parameters["lineage"]["schedule"].startswith("submit-")  # … so the cluster's cache must not answer for it
    documents = server.uploads[version["pipeline_version_id"]]
    assert set(documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]) >= {"exec-train"}


def test_other_settings_are_another_version_of_the_same_pipeline(server, host):
    send(host)
    submit(host, "pinclip", "/data/pins", load("smoke", ["train.epochs=3"]), read_profile("cluster"))
    assert len(server.rows["pipelines"]) == 1
    assert len(server.rows["pipeline_versions"]) == 2


def test_a_version_is_found_behind_the_first_page(server, host):
    for profile in ("smoke", "demo", "full"):
        submit(host, "pinclip", "/data/pins", load(profile), read_profile("local"))
    uploads = server.calls.count("UploadPipelineVersion")
    submit(host, "pinclip", "/data/pins", load("full"), read_profile("local"))
    assert uploads == server.calls.count("UploadPipelineVersion") == 3


def test_the_host_may_come_from_the_environment(server, host, monkeypatch):
    monkeypatch.setenv("PINCLIP_KFP_HOST", f"{host}/")
    assert send(None).startswith(f"{host}/#/")


@pytest.mark.parametrize("address", [None, "kubeflow.example.com"])
def test_without_an_address_nothing_is_tried(address, monkeypatch):
    monkeypatch.delenv("PINCLIP_KFP_HOST", raising=False)
    with pytest.raises(ConfigError, match="name KFP's with --host or PINCLIP_KFP_HOST"):
        Cluster(address)


@pytest.mark.parametrize("token", ["an-expired-token", ""])
def test_an_expired_or_absent_token_is_told(server, host, monkeypatch, token):
    monkeypatch.setenv("PINCLIP_KFP_TOKEN", token)
    with pytest.raises(
        ClusterError, match=r"does not know the token \(401\); put a valid one into PINCLIP_KFP_TOKEN"
    ) as said:
        send(host)
    assert server.changes() == []
    assert TOKEN not in str(said.value) and "\n" not in str(said.value)


def test_a_token_that_was_made_for_the_cluster_alone_is_told_with_the_command(server, host, monkeypatch):
    monkeypatch.setenv("PINCLIP_KFP_TOKEN", "an-account's-own")
    server.audiences["an-account's-own"] = "https://kubernetes.default.svc.cluster.local"
    with pytest.raises(ClusterError, match=r"kubectl create token ACCOUNT --audience pipelines\.kubeflow\.org"):
        send(host)
    assert server.changes() == []


def test_a_namespace_that_is_not_named_is_told_by_its_variable(server, host, monkeypatch):
    monkeypatch.delenv("PINCLIP_KFP_NAMESPACE")
    with pytest.raises(ConfigError, match="shared by several namespaces and none is named; set PINCLIP_KFP_NAMESPACE"):
        send(host)
    server.multi_user = False
    assert send(host)


def test_a_foreign_namespace_is_told_with_who_asked_for_what(server, host, monkeypatch):
    monkeypatch.setenv("PINCLIP_KFP_NAMESPACE", "other")
    with pytest.raises(ClusterError) as said:
        send(host)
    assert "does not let system:serviceaccount:pinclip:ci list experiments in the namespace other" in str(said.value)
    assert server.changes() == []


@pytest.mark.parametrize(
    ("recorded", "says"),
    [
        ("kfp-400-no-namespace", "none was named; set PINCLIP_KFP_NAMESPACE."),
        ("kfp-401-wrong-audience", "--audience pipelines.kubeflow.org"),
        ("kfp-403-foreign-namespace", "let system:serviceaccount:pinclip:ci list experiments in the namespace other"),
    ],
)
def test_refusals_as_a_real_server_worded_them(recorded, says):
    path = RECORDED / f"{recorded}.txt"
    if not path.is_file():
        pytest.skip(f"{path} is absent: what a real server said is lent beside the checkout, not part of it")
    *body, status = path.read_text().rstrip().splitlines()
    said = http_refusal("https://kfp", SimpleNamespace(status=int(status), body="\n".join(body), reason=""))
    assert says in said
    assert "\n" not in said and len(said) < 300


def test_the_same_code_on_the_same_data_is_one_run_and_mostly_cached(server, host, tmp_path):
    """Where the machine that submits sees the catalogue, as before: the second run joins the first."""
    generate(SyntheticConfig(pins=12, boards=2), tmp_path / "catalogue")
    driver = Driver(server)
    for _ in range(2):
        send(host, str(tmp_path / "catalogue"))
    first, second = (driver.run(run) for run in server.rows["runs"])
    assert first.inputs["register"]["run"] == second.inputs["register"]["run"]
    assert len(first.ran) == 14
    assert second.ran == ["compare", "register", "report", "publish"]  # whatever may depend on the champion


def test_a_host_that_does_not_answer_is_told(monkeypatch, capfd):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(ClusterError, match=f"{address} does not answer .*Connection refused.*; check --host"):
        Cluster(address)
    assert capfd.readouterr() == ("", "")


def test_a_login_page_is_no_server(server, host):
    server.page = "<html>Sign in</html>"
    with pytest.raises(ClusterError, match="answers with a page, not as a KFP server"):
        Cluster(host)


@pytest.mark.parametrize(
    ("status", "says"), [(403, "does not let the owner of the token do this"), (500, "refused with 500: RunSe")]
)
def test_a_refusal_is_one_sentence(server, host, status, says):
    server.refuse["RunService_CreateRun"] = status
    with pytest.raises(ClusterError, match=says) as said:
        send(host)
    assert "\n" not in str(said.value)
