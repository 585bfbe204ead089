"""The prepared catalogue stays on the volume where the deploy profile says so: what the compiled pipeline asks for.

tests/pipelines/local/test_resumed.py runs prepare to train with it.
"""

from pathlib import Path

import pytest
import yaml
from kfp_driver import Driver

from components.configuration import load
from model.sources.synthetic.generate import SyntheticConfig, generate
from pipelines.cluster.client import submit
from pipelines.cluster.compilation import package
from pipelines.cluster.profiles import read_profile


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
    assert readers == 13  # prepare, and all but quantize


def test_without_the_cache_prepare_and_all_behind_it_run_again(server, host, tmp_path):
    generate(SyntheticConfig(pins=20, boards=5, image_size=16), tmp_path / "catalogue")
    kfp, ran = Driver(server), []
    for anew in (False, False, True):
        given = (host, "pinclip", str(tmp_path / "catalogue"), load("smoke"), read_profile("cluster"))
        _, run_id = submit(*given, anew=anew)
        ran.append(kfp.run(run_id).ran)
    assert "prepare" not in ran[1]
    assert ran[2] == ran[0]
