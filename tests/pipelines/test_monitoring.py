"""The monitoring DAG: what each step is given, what waits for what, how thin its steps are, the training it starts."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from components.configuration import load
from components.monitoring.retraining import submit_training
from components.settings import Settings
from model.errors import ClusterError
from pipelines.cluster.compilation import package
from pipelines.cluster.profiles import read_profile

ROOT = Path(__file__).parents[2]
STEPS = ("collect", "measure", "notify", "retrain")
CONFIG = load("smoke")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> str:
    from kfp import compiler

    from pipelines.monitoring import monitoring

    path = tmp_path_factory.mktemp("compiled") / "monitoring.yaml"
    compiler.Compiler().compile(monitoring, str(path))
    return path.read_text()


def test_each_step_is_given_what_it_reads(compiled):
    tasks = yaml.safe_load(compiled)["root"]["dag"]["tasks"]
    assert {name: set(task["inputs"]["parameters"]) for name, task in tasks.items()} == {
        "collect": {"catalogue", "lineage", "prepare_config", "monitoring_config"},
        "measure": {"monitoring_config"},
        "notify": {"monitoring_config"},
        "retrain": {"catalogue", "config", "deploy_profile"},
    }


def test_one_step_after_the_other_and_nothing_from_a_cache(compiled):
    tasks = yaml.safe_load(compiled)["root"]["dag"]["tasks"]
    waits = {name: set(task.get("dependentTasks", [])) for name, task in tasks.items()}
    assert waits == {"collect": set(), "measure": {"collect"}, "notify": {"measure"}, "retrain": {"notify"}}
    assert all(task["cachingOptions"] == {} for task in tasks.values())
    assert not any({"triggerPolicy", "parameterIterator"} & set(task) for task in tasks.values())


def test_the_yaml_carries_no_paths_of_a_machine_and_no_secret(compiled):
    assert not re.search(r"(?<![\w.$])/(home|root|tmp|work|Users|usr|opt|var)/", compiled)
    assert not re.search(r"password|secret|token|hooks\.slack", compiled, flags=re.IGNORECASE)


@pytest.mark.parametrize("name", STEPS)
def test_a_step_is_thin_and_imports_inside(name):
    tree = ast.parse((ROOT / "components" / "steps" / f"{name}.py").read_text())
    imported = [ast.unparse(node) for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert imported == ["from kfp import dsl", "from components.container_image import IMAGE"]
    (function,) = (node for node in tree.body if isinstance(node, ast.FunctionDef))
    statements = [node for node in ast.walk(function) if isinstance(node, ast.stmt)]
    left_out = (ast.Import, ast.ImportFrom, ast.FunctionDef)
    assert len([node for node in statements if not isinstance(node, left_out)]) <= 10


def test_on_a_cluster_each_step_has_the_secrets_that_it_needs():
    text = package("monitoring", CONFIG, read_profile("cluster")).text
    executors = list(yaml.safe_load_all(text))[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    given = {
        name.removeprefix("exec-"): {pair["envVar"] for one in part.get("secretAsEnv", []) for pair in one["keyToEnv"]}
        for name, part in executors.items()
    }
    mlflow = {"MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"}
    assert given == {
        "collect": mlflow | {"PINCLIP_REDIS", "PINCLIP_ALERT_WEBHOOK"},
        "measure": mlflow,
        "notify": {"PINCLIP_ALERT_WEBHOOK"},
        "retrain": set(),  # it asks Kubernetes for a token of its own
    }


@pytest.fixture
def home(tmp_path, host, monkeypatch) -> Settings:
    monkeypatch.setenv("PINCLIP_KFP_HOST", host)
    return Settings(home=tmp_path / "home")


def test_an_alarm_starts_one_training_in_a_while(home, server):
    first, second = (submit_training("/data/pins", CONFIG, "cluster", home) for _ in range(2))
    assert first.startswith("A training was started: http://127.0.0.1:")
    assert second == "A training was started in the last 24 hours; no other is."
    (run,) = server.rows["runs"].values()
    assert run["runtime_config"]["parameters"]["catalogue"] == "/data/pins"
    assert run["display_name"].startswith("pinclip-training ")


def test_a_training_that_could_not_be_started_is_tried_again(home, server, monkeypatch):
    with monkeypatch.context() as gone:
        gone.setenv("PINCLIP_KFP_HOST", "http://127.0.0.1:1")
        with pytest.raises(ClusterError, match="does not answer"):
            submit_training("/data/pins", CONFIG, "cluster", home)
    assert server.rows["runs"] == {}
    assert submit_training("/data/pins", CONFIG, "cluster", home).startswith("A training was started: ")


def test_where_kfp_runs_a_step_its_compiler_is_gone_and_not_missed(home, server):
    code = f"""
import components.monitoring.catalogue_sample, components.monitoring.measures, components.monitoring.notice
from components.settings import Settings
from components.configuration import load
from components.monitoring.retraining import submit_training
print(submit_training("/data/pins", load("smoke"), "cluster", Settings(home={str(home.home)!r})))
"""
    step = os.environ | {"_KFP_RUNTIME": "true"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=step, capture_output=True, text=True)
    assert done.stdout.startswith("A training was started: http://127.0.0.1:"), done.stderr
    assert len(server.rows["runs"]) == 1


@pytest.mark.parametrize(
    ("over", "profile", "settings", "started"),
    [
        (True, "cluster", [], 1),
        (False, "cluster", [], 0),
        (True, "", [], 0),
        (True, "cluster", ["monitoring.retrain=no"], 0),
    ],
)
def test_the_step_trains_where_it_is_asked_to(home, server, tmp_path, monkeypatch, over, profile, settings, started):
    from types import SimpleNamespace

    from components.steps.retrain import retrain

    monkeypatch.setenv("PINCLIP_HOME", str(home.home))
    (tmp_path / "noticed").write_text(json.dumps({"over": over}))
    noticed, retrained = (SimpleNamespace(path=str(tmp_path / name)) for name in ("noticed", "retrained"))
    config = load("smoke", settings).to_json()
    retrain.python_func(noticed, "/data/pins", config, profile, retrained)
    assert len(server.rows["runs"]) == started
    says = (tmp_path / "retrained").read_text()
    assert says.startswith("A training was started: " if started else "No training is started.")
