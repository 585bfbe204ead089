"""`pinclip lineage`: one screen from a real MLflow, a published space and its index."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from feature_home import CREATED, LINEAGE, quantized

from components.configuration import load
from components.gate import Verdict
from components.registry.tracking import log_evidence, log_figures, tracked
from components.registry.versions import Registration
from components.spaces import serving_history
from model.errors import StoreError
from pipelines.cli.lineage import show
from serving.index import IndexConfig, PinIndex
from serving.rows import write_rows
from serving.space import SpaceManifest

PINCLIP = Path(sys.executable).with_name("pinclip")
METRICS = {
    "fresh": {"related_pins": {"recall@10": 0.371}, "search": {"recall@10": 0.315}},
    "baseline_clip": {"fresh": {"related_pins": {"recall@10": 0.247}}},
    "comparison": {"tasks": {"related_pins": {"difference": -0.013}}},
}
COMPARED = "Compared with the champion, version 3, which was trained on none of these fresh Pins."
TAGS = {"git_rev": "abc123", "catalogue": "catalogue", "catalogue_digest": "c" * 64, "dvc_md5": "d.dir"}
VALIDATION = {"success": True, "failures": [], "warnings": ["few boards"], "expectations": [{"success": True}] * 12}


@pytest.fixture
def home(features_home, tmp_path, monkeypatch):
    home = features_home.beside(tmp_path)
    monkeypatch.setenv("PINCLIP_HOME", str(home.settings.home))
    monkeypatch.setenv("PINCLIP_MLFLOW_URI", home.settings.mlflow_uri)
    return home


@pytest.fixture
def registered(home, tmp_path):
    """A version with a run; `registered(tag=value)` -> its registration."""

    def call(**tags):
        (tmp_path / "validation.json").write_text(json.dumps(VALIDATION))
        (tmp_path / "curves.jsonl").write_text("")
        (tmp_path / "evaluation").mkdir()
        with tracked({"pinclip.run_id": f"smoke-{tmp_path.name}"}, home.settings) as (client, run):
            log_figures(client, run, config=load("smoke"), metrics=METRICS, curves=tmp_path / "curves.jsonl")
            files = {"evaluation": tmp_path / "evaluation", "validation": tmp_path / "validation.json"}
            log_evidence(client, run, config=load("smoke"), lineage=LINEAGE, **files)
        whole = TAGS | {"run_id": "smoke-1", "gate": "passed", "gate.reasons": f"A floor was met.\n{COMPARED}"} | tags
        named = {f"pinclip.{name}": value for name, value in whole.items()}
        version = int(client.create_model_version("pinclip", "file:///nowhere", run_id=run, tags=named).version)
        return Registration(version, Verdict(True, ()), run, f"models:/pinclip/{version}", CREATED.isoformat())

    return call


def shown(capsys, asked) -> dict[str, list[str]]:
    """The screen: the lines of each heading."""
    show(str(asked))
    lines, name = dict[str, list[str]](), ""
    for line in capsys.readouterr().out.splitlines():
        name = line[:12].strip() or name
        lines.setdefault(name, []).append(line[12:].strip())
    return lines


def test_one_screen_says_all_of_it(home, registered, tmp_path, capsys):
    registration = registered(schedule="nightly-training-20261121020000")
    home.publish(quantized(tmp_path / "quantized", seed=1)[0], registration)
    space = SpaceManifest.read(home.settings.home / "feast", registration.space)
    place = home.settings.home / "serving" / registration.space / "index"
    PinIndex.of_published(space, IndexConfig()).save(place)
    lines = shown(capsys, registration.version)
    assert lines["version"][0].startswith(f"models:/pinclip/{registration.version}, challenger, made 20")
    assert (lines["code"], lines["catalogue"]) == (["abc123"], ["catalogue"])
    assert (lines["digest"], lines["DVC md5"]) == (["c" * 64], ["d.dir"])
    assert lines["validation"] == ["passed, 12 of 12 expectations hold; few boards"]
    assert lines["run"] == [f"smoke-1 (MLflow run {registration.mlflow_run_id}, finished)"]
    assert lines["schedule"] == ["nightly-training-20261121020000"]
    assert lines["gate"] == ["passed", COMPARED]
    assert lines["metrics"] == [
        "recall@10 on fresh Pins",
        "Related Pins           0.371  CLIP objective 0.247  against the champion -0.013",
        "Search                 0.315",
        "PinText, image → text  not measured",
        "PinText, text → image  not measured",
    ]
    view = f"pin_embedding_{registration.space}, 230 Pins when published, 230 now, 8 bits; `pin_ranking` serves it"
    assert lines["FeatureView"] == [view]
    (index,) = lines["index"]
    assert index.startswith("230 Pins, snapshot-")
    assert str(place) in index
    (served,) = lines["history"]
    assert served.endswith(" UTC, served by publish")
    assert sum(map(len, lines.values())) <= 24  # a screen

    known, vector = space.ids()[0].as_py(), bytes(space.affine.bytes_per_pin)
    write_rows(space.folder / "pushed-1.parquet", ["new", known], [vector] * 2, CREATED, CREATED)
    assert shown(capsys, registration.version)["FeatureView"] == [view.replace("230 now", "231 now")]


def test_the_last_three_promotions_of_the_version_are_its_history(home, registered, capsys):
    registration = registered()
    for hour in range(5):
        for version in (registration.version, 9999):
            event = serving_history.SpaceEvent(
                f"2026-11-21T0{hour}:30:00+00:00", "promoted", f"v{version}", version, None, "sync"
            )
            serving_history.append_event(event, home.settings)
    times = [f"2026-11-21 0{hour}:30 UTC, promoted by sync" for hour in (2, 3, 4)]
    assert shown(capsys, registration.version)["history"] == times


def test_a_version_is_named_by_its_alias_or_its_space_too(home, registered, capsys):
    registration = registered()
    home.client.set_registered_model_alias("pinclip", "champion", str(registration.version))
    by_number, *others = (shown(capsys, name) for name in (registration.version, "champion", registration.space))
    home.client.delete_registered_model_alias("pinclip", "champion")
    assert others == [by_number, by_number]
    assert "champion" in by_number["version"][0]
    assert by_number["schedule"] == ["none, started by hand"]
    assert by_number["FeatureView"][0].startswith(f"the space {registration.space} is not published in ")


def test_a_refused_version_gives_every_reason(home, registered, capsys):
    reasons = ["Search is below its floor.", "The weights take too much.", COMPARED]
    registration = registered(gate="failed", **{"gate.reasons": "\n".join(reasons)})
    assert shown(capsys, registration.version)["gate"] == ["failed", *reasons]
    home.client.set_model_version_tag("pinclip", str(registration.version), "pinclip.forced", "the old one is worse")
    assert shown(capsys, registration.version)["gate"][-1] == "Promoted all the same: the old one is worse"


def test_what_is_gone_is_said_and_the_rest_is_shown(home, capsys):
    registration = home.registered()  # of no run
    lines = shown(capsys, registration.version)
    assert (lines["run"], lines["code"]) == (["not stated (no longer in MLflow)"], ["not stated"])
    assert "metrics" not in lines


def test_a_space_of_another_registry_is_not_taken_for_its_own(home, registered, tmp_path, capsys):
    registration = registered()
    home.publish(quantized(tmp_path / "quantized", seed=1)[0], registration)
    file = home.settings.home / "feast" / "offline" / f"pin_embedding_{registration.space}.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"mlflow_run": "another"}))
    lines = shown(capsys, registration.version)
    assert lines["FeatureView"][0].endswith("is of another MLflow run, another")
    assert "index" not in lines


def test_a_validation_that_cannot_be_read_is_said(home, registered, capsys):
    registration = registered()
    artifacts = home.client.get_run(registration.mlflow_run_id).info.artifact_uri
    (Path(artifacts.removeprefix("file://")) / "validation.json").unlink()
    assert shown(capsys, registration.version)["validation"][0].startswith("its file cannot be read from MLflow (")


def test_an_unknown_version_is_one_sentence_and_exit_code_2(home):
    newest = home.registered().version
    done = subprocess.run([PINCLIP, "lineage", "9999"], env=os.environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr == f"pinclip: There is no version 9999 of models:/pinclip; the newest is {newest}.\n"


def test_where_nothing_is_registered_that_is_said(home, monkeypatch):
    monkeypatch.setenv("PINCLIP_MODEL_NAME", "another")
    with pytest.raises(StoreError, match="There is no version 7 of models:/another; nothing is registered yet"):
        show("7")
