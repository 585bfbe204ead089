"""`make e2e-cluster` against a played cluster: real kubectl, real `pinclip`, the overlay and profile of deploy/."""

import json
import shutil

import api_server
import kfp_server
import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from tests.e2e.on_cluster import __main__ as command
from tests.e2e.on_cluster import runs, schedules, site, steps
from tests.e2e.on_cluster.__main__ import STEPS, main
from tests.e2e.played_cluster import Played

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")


@pytest.fixture
def on(tmp_path, monkeypatch):
    """Call with a played cluster and arguments: exit code, and the steps of the report by name."""

    def call(played, *arguments):
        kubeconfig = tmp_path / "kubeconfig"
        with api_server.listening(played.k8s, kubeconfig), kfp_server.listening(played) as host:
            monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
            monkeypatch.setenv("PINCLIP_KFP_HOST", host)
            monkeypatch.setenv("PINCLIP_KFP_TOKEN", kfp_server.TOKEN)
            code = main(["--image", "registry.example.com:5000/pinclip:7", *arguments])
        assert (played.wrong, played.k8s.wrong) == ([], [])
        file = tmp_path / "runs" / "latest" / "report.json"
        found = json.loads(file.read_text())["steps"] if file.is_file() else []
        return code, {one["step"]: one for one in found}

    def pinclip(command, stdin=None, seconds=0.0):
        """In this process, for each start of one takes seconds."""
        if command[0] != runs.PINCLIP:
            return site.program(command, stdin, seconds)
        done = CliRunner().invoke(app, list(command[1:]), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    monkeypatch.setattr(steps, "PAUSE", 0.05)
    monkeypatch.setattr(runs, "program", pinclip)
    monkeypatch.setattr(schedules, "program", pinclip)
    monkeypatch.setattr(command, "RUNS", str(tmp_path / "runs"))
    return call


def states(report):
    return {name: one["state"] for name, one in report.items() if one["state"] != "passed"}


def test_every_step_passes_on_a_cluster_with_all_parts_and_delete_takes_all_away(on, capsys, tmp_path):
    played = Played()
    code, report = on(played)
    out = capsys.readouterr().out
    assert (code, states(report)) == (0, {}), out
    assert list(report) == [step.name for step in STEPS]
    assert "Kubernetes 1.34.4, KFP 2.16.1, Argo 3.7.8, KubeRay 1.6.2, Kueue 0.17.8" in out
    assert played.aliases == {"champion": len(played.versions)}
    images = {
        box["image"]
        for kind in ("deployments", "jobs")
        for one in played.k8s.all(kind, "pinclip-lab")
        for box in one["spec"]["template"]["spec"]["containers"]
    }
    assert images == {"registry.example.com:5000/pinclip:7"}
    assert played.k8s.all("rayjobs") == []
    assert "t" not in {one["seconds"] for one in report.values()}
    page = (tmp_path / "runs" / "latest" / "report.md").read_text()
    assert f"{len(STEPS)} passed, 0 failed, 0 not tried" in page
    assert played.rows["recurring_runs"] == {}

    assert on(played, "--delete")[0] == 0
    left = {one["metadata"]["name"] for one in played.k8s.all("namespaces")}
    assert left == {"kubeflow", "kuberay-operator", "kueue-system"}
    assert played.k8s.all("clusterqueues") == []
