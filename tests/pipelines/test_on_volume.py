"""The prepared catalogue stays on the volume where the deploy profile says so: prepare to train, for real."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from kfp_driver import Driver
from tiny import TINY, tiny_catalogue

from components.configuration import load
from components.prepared_catalogue import FILES
from model.data.catalogue import Catalogue
from model.data.preparation import prepare
from model.sources.synthetic.generate import SyntheticConfig, generate
from pipelines.cluster.client import submit
from pipelines.cluster.compilation import package
from pipelines.cluster.profiles import read_profile

HERE = Path(__file__).parent
SMALL = 10_000  # bytes
CONFIG = load("smoke", TINY)


def run(root: Path, work: str, volume: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(HERE), "PINCLIP_HOME": str(root / "home")}
    environment |= {"PINCLIP_PREPARED": str(volume)}
    command = [sys.executable, str(HERE / "on_volume.py"), str(root / "catalogue"), str(root / work), CONFIG.to_json()]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def artifact(root: Path, work: str, name: str) -> Path:
    (found,) = (root / work / "artifacts").glob(f"*/{name}")
    return found


@pytest.mark.timeout(600)
def test_training_reads_from_the_volume_what_prepare_left_there(tmp_path):
    tiny_catalogue(tmp_path, pins=120, boards=30)
    done = run(tmp_path, "work", tmp_path / "volume")
    assert done.returncode == 0, done.stderr
    passed = artifact(tmp_path, "work", "prepare/prepared")
    assert passed.is_file()
    assert passed.stat().st_size < SMALL  # all that goes through KFP's store
    folder = Path(json.loads(passed.read_text())["path"])
    assert folder.parent == tmp_path / "volume"
    assert artifact(tmp_path, "work", "train/model/model.safetensors").stat().st_size > SMALL
    prepare(Catalogue(tmp_path / "catalogue"), tmp_path / "alone", CONFIG.prepare, image_size=CONFIG.vision.image_size)
    assert contents(tmp_path / "alone") == {name: file for name, file in contents(folder).items() if name != FILES}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


@pytest.mark.parametrize("name", ["cluster", "lab"])
def test_every_step_that_reads_it_sees_the_folder_on_its_claim(name):
    text = package("training", load("smoke"), read_profile(name)).text
    spec, platform = yaml.safe_load_all(text)
    mounts = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    readers = 0
    for component in spec["components"].values():
        inputs = component.get("inputDefinitions", {}).get("artifacts", {})
        outputs = component.get("outputDefinitions", {}).get("artifacts", {})
        if "prepared" not in (*inputs, *outputs):
            continue
        label, readers = component["executorLabel"], readers + 1
        container = spec["deploymentSpec"]["executors"][label]["container"]
        env = {one["name"]: one["value"] for one in container["env"]}
        places = [one["mountPath"] for one in mounts[label]["pvcMount"]]
        assert any(Path(env["PINCLIP_PREPARED"]).is_relative_to(place) for place in places)
    assert readers == 12  # prepare, and all but quantize


def test_without_the_cache_prepare_and_all_behind_it_run_again(server, host, tmp_path):
    generate(SyntheticConfig(pins=20, boards=5, image_size=16), tmp_path / "catalogue")
    kfp, ran = Driver(server), []
    for anew in (False, False, True):
        given = (host, "pinclip", str(tmp_path / "catalogue"), load("smoke"), read_profile("cluster"))
        _, run_id = submit(*given, anew=anew)
        ran.append(kfp.run(run_id).ran)
    assert "prepare" not in ran[1]
    assert ran[2] == ran[0]
