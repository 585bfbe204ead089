"""What `pinclip serve` finds in a home before it starts anything, and what it says where that is not enough."""

import socket
from dataclasses import replace

import pytest
from feature_home import space_manifest
from served_pins import tiny_model

from components.configuration import load
from components.mlflow_client import connect
from components.registry.versions import log_model
from model.config import TRAINED
from model.embedding.affine import Affine
from model.errors import ConfigError, RunError, StoreError
from model.network.checkpoint import load_model
from pipelines.cli.serve import found, published_spaces, serve, space_files, wait_for_publication


@pytest.fixture
def home(features_home, tmp_path, monkeypatch):
    monkeypatch.setenv("PINCLIP_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PINCLIP_SERVE_TOKEN", raising=False)
    return features_home.beside(tmp_path)


def test_all_published_spaces_oldest_first_and_the_one_that_serves_by_name(home):
    (first, _), (second, _) = home.new_space(1), home.new_space(2)
    manifests, serving = published_spaces(home.settings)
    assert ([*manifests], serving) == ([first, second], first)
    with pytest.raises(StoreError, match=f"v99 is not published; there are: {first}, {second}"):
        serve(["v99"], "127.0.0.1", free_port(), None)


def test_the_model_folder_of_a_space_is_that_of_its_registered_version(home, tmp_path):
    import mlflow

    folder = tiny_model(tmp_path / "model")
    connect(home.settings)
    with mlflow.start_run(experiment_id=mlflow.create_experiment(str(tmp_path), (tmp_path / "artifacts").as_uri())):
        model = log_model(folder, load("smoke"), {"pinclip.weights_sha256": "w"})
    version = home.client.create_model_version("pinclip", f"models:/{model}", model_id=model)
    space = space_manifest(home.settings.home / "feast", Affine(1 / 127, 0, bits=8, dim=32), "v7")
    files = space_files(replace(space, model=f"models:/pinclip/{version.version}"), home.settings)
    assert files.state == home.settings.home / "serving" / "v7"
    assert load_model(files.model_folder)[0].config.only(TRAINED) == load_model(folder)[0].config.only(TRAINED)


def test_without_a_space_there_is_nothing_to_serve(home):
    with pytest.raises(StoreError, match="No space is published"):
        serve([], "127.0.0.1", free_port(), None)


def test_a_taken_port_and_an_address_without_a_token_are_said(home):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(RunError, match="is taken"):
            serve([], "127.0.0.1", taken.getsockname()[1], None)
    with pytest.raises(ConfigError, match="PINCLIP_SERVE_TOKEN"):
        serve([], "0.0.0.0", free_port(), None)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_waiting_ends_with_the_first_publication(home, monkeypatch, capsys):
    looks = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 2:
            home.new_space(1)

    monkeypatch.setattr("pipelines.cli.serve.time.sleep", sleep)
    wait_for_publication()
    said = capsys.readouterr().out.splitlines()
    assert len(looks) == 2
    assert said[0].startswith("Waiting: No features are published in ")
    assert len(said) == 2 and said[1].endswith(" serves.")  # said once, however often it looks


def test_what_there_is_to_serve_is_looked_for_anew_at_each_call(home, monkeypatch):
    monkeypatch.setattr("pipelines.cli.serve.model_folder", lambda uri, settings: home.root / "model")
    with pytest.raises(StoreError, match="No space is published"):
        found((), None)
    name, _ = home.new_space(1)
    opening = found((), None)
    assert ([one.name for one in opening.spaces], opening.serving) == ([name], name)
