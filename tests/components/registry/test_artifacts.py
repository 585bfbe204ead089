"""The files of a model come by MLflow's server alone, whatever it offers; one that does not answer is told in seconds.

The server here answers as mlflow 3.17's does with its files in S3 (server/handlers.py, build_server_info_payload and
_get_presigned_download_url): it offers addresses in S3, where nobody of ours may go.
"""

import json
import os
import re
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from components.mlflow_client import connect
from components.registry.artifacts import IMPATIENT, model_folder
from components.settings import Settings
from model.errors import StoreError


@pytest.fixture
def server():
    """An MLflow server with files in S3; `asked` holds the paths of all requests."""

    class Server(ThreadingHTTPServer):
        asked: list[str]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.server.asked.append(self.path)
            answer = b"weights"
            if self.path.endswith("server-info"):
                answer = json.dumps({"multipart_downloads_enabled": True, "multipart_uploads_enabled": True}).encode()
            if "?path=" in self.path:  # is it a folder? what is in it?
                answer = b'{"files": []}'
            if "/presigned/" in self.path:
                answer = json.dumps({"url": "http://192.0.2.1:9000/models/weights", "file_size": 7}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None: ...

    with Server(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_files_come_by_the_server_though_it_offers_addresses_in_s3(server, tmp_path, monkeypatch):
    for way in ("DOWNLOAD", "UPLOAD"):
        monkeypatch.delenv(f"MLFLOW_ENABLE_PROXY_MULTIPART_{way}", raising=False)
    uri = f"http://127.0.0.1:{server.server_port}"
    connect(Settings(home=tmp_path, mlflow_uri=uri))
    import mlflow

    file = "1/models/m-1/artifacts/weights"
    got = mlflow.artifacts.download_artifacts(f"mlflow-artifacts:/{file}", dst_path=str(tmp_path))
    assert Path(got).read_bytes() == b"weights"
    assert server.asked[-1] == f"/api/2.0/mlflow-artifacts/artifacts/{file}"
    assert not [path for path in server.asked if "presigned" in path]


def test_a_server_that_never_answers_is_told_within_seconds(tmp_path, monkeypatch):
    monkeypatch.setitem(IMPATIENT, "MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        settings = Settings(home=tmp_path, mlflow_uri=f"http://127.0.0.1:{mute.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(StoreError, match=re.escape("see that its server answers and has them.")):
            model_folder("models:/pinclip/1", settings)
    assert time.monotonic() - began < 20
    assert not set(IMPATIENT) & set(os.environ)
