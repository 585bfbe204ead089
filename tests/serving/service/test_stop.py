"""A service that is told to stop in the middle of its work: who has an answer finds the Pin wherever Pins are read."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import pyarrow.parquet as pq
import pytest
import requests
import served_pins
from served_pins import Process

from serving.features import Features
from serving.service.metrics import ServiceMetrics
from serving.service.space import PinSpace

pytestmark = pytest.mark.timeout(900)


def test_a_graceful_stop_loses_nothing_accepted(features_home, redis, tmp_path, onnx_model, monkeypatch):
    home = features_home.beside(tmp_path, redis.address)
    home.prepared = served_pins.catalogue(tmp_path / "drawn")
    monkeypatch.setenv("PINCLIP_REDIS", redis.address)
    files = served_pins.publish(home, onnx_model[0], "stopped")
    shutil.copytree(onnx_model[1], files.state / "encoder")
    process = Process([files], None, tmp_path / "log", redis.address, token="secret")
    assert requests.get(f"{process.address}/v1/spaces", timeout=60).status_code == 401
    assert requests.get(f"{process.address}/", timeout=60).status_code == 200

    def push(number: int) -> list[str]:
        """The ids that were answered for."""
        ids = [f"late-{number}-{i}" for i in range(4)]
        if number == 20:
            process.process.terminate()
        try:
            answer = process.post("/v1/pins", {"pins": [{"pin_id": i, "title": "teal"} for i in ids]})
        except requests.RequestException:
            return []
        return ids if answer.status_code == 200 else []

    with ThreadPoolExecutor(8) as threads:
        accepted = [name for ids in threads.map(push, range(200)) for name in ids]
    assert process.process.wait(300) == 0, process.log.read_text()[-4000:]
    assert 80 <= len(accepted) < 800
    assert not Features.of(files.feast_home / "feature_store.yaml").pin_vectors(accepted, files.name)[1].any()
    assert not PinSpace.open(files, ServiceMetrics(), threads=1).index.vectors(accepted)[1].any()
    shards = pq.read_table(files.feast_home / "offline" / f"pin_embedding_{files.name}", columns=["pin_id"])
    assert set(accepted) <= set(shards["pin_id"].to_pylist())  # and training sets will see them
    assert "Traceback" not in process.log.read_text()
