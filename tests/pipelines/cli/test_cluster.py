"""An operator's night at the command line, against the server of tests/kfp_server.py."""

import pytest
import yaml
from typer.testing import CliRunner

from pipelines.cli.app import app


@pytest.fixture
def says(host, tmp_path, monkeypatch):
    """Runs a command as typed and returns what it printed."""
    monkeypatch.setenv("PINCLIP_KFP_HOST", host)
    monkeypatch.chdir(tmp_path)

    def run(line: str) -> str:
        done = CliRunner().invoke(app, line.split(), catch_exceptions=False)
        assert done.exit_code == 0
        return done.output

    return run


def test_a_night_from_the_first_apply_to_a_backfill(says, server, monkeypatch):
    names = ("nightly-training", "hourly-sync", "hourly-monitoring")
    assert sorted(says("schedule list").splitlines()) == sorted(
        f"{name}  not on the cluster  (apply makes it)" for name in names
    )
    for verdict in ("made", "unchanged"):
        lines = says("schedule apply").splitlines()
        assert sorted(line for line in lines if "KFP" not in line) == sorted(f"{name}: {verdict}" for name in names)
        assert sum("KFP will run it as default-editor, not as pinclip-pipeline" in line for line in lines) == 3
    assert says("schedule pause nightly-training") == "nightly-training: paused\n"
    assert (
        "nightly-training  0 0 2 * * *  paused  as default-editor  (as in the file)"
        in says("schedule list").splitlines()
    )
    assert says("schedule resume nightly-training") == "nightly-training: goes on\n"
    assert (
        "nightly-training  0 0 2 * * *  on  as default-editor  (as in the file)" in says("schedule list").splitlines()
    )
    monkeypatch.setattr("pipelines.cluster.backfill.PAUSE", 0.0)
    again = "backfill --schedule nightly-training --from 2026-11-01 --to 2026-11-01"
    assert says(again).splitlines()[-1] == "nightly-training-20261101020000: succeeded"
    assert says(again) == "nightly-training-20261101020000: has run already\n"
    assert says("schedule delete nightly-training") == "nightly-training: deleted\n"
    assert set(server.named("recurring_runs")) == {"hourly-sync", "hourly-monitoring"}
    assert says("submit --catalogue /data/pins --profile smoke").startswith("Submitted: http://127.0.0.1:")


def test_compile_for_a_cluster_and_for_gitops(says, tmp_path):
    assert says("compile --deploy-profile cluster --out p.yaml") == "Wrote p.yaml\n"
    assert len(list(yaml.safe_load_all((tmp_path / "p.yaml").read_text()))) == 2
    says("compile --deploy-profile cluster --manifests --namespace pinclip --out m.yaml")
    kinds = [one["kind"] for one in yaml.safe_load_all((tmp_path / "m.yaml").read_text())]
    assert kinds == ["Pipeline", "PipelineVersion"]
