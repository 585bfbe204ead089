"""A published home, a webhook that really listens, and a drift.json without either."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from monitored_home import World

from components.settings import Settings


@pytest.fixture(scope="session")
def world(features_home, tmp_path_factory) -> World:
    root = tmp_path_factory.mktemp("world")
    return World(root, features_home.beside(root))


class Webhook:
    """Keeps what it is sent; answers with `statuses` in turn, then with 200."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.statuses: list[int] = []

    def handler(self) -> type[BaseHTTPRequestHandler]:
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = hook.statuses.pop(0) if hook.statuses else 200
                if status == 200:
                    hook.messages.append(body)
                self.send_response(status)
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        return Handler


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    hook = Webhook()
    server = ThreadingHTTPServer(("127.0.0.1", 0), hook.handler())
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("PINCLIP_ALERT_WEBHOOK", f"http://127.0.0.1:{server.server_address[1]}/services/SECRET")
    yield hook
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of an empty home."""
    return Settings(home=tmp_path / "home")


@pytest.fixture
def drift() -> Callable[..., dict[str, Any]]:
    """drift.json with these measures over their limit and one that is not."""

    def made(*names: str, **changed: Any) -> dict[str, Any]:
        histogram = {"names": ["0", "1"], "before": [0.25, 0.75], "now": [0.5, 0.5], "of_labels": False}
        common = {"group": "facts", "scope": "all", "value": 0.5, "sure": 0.4, "limit": 0.1, "says": "half of them"}
        measures = [common | {"name": n, "key": f"facts/all/{n}", "over": True, "histogram": histogram} for n in names]
        measures.append(common | {"name": "width", "key": "facts/all/width", "sure": 0.0, "over": False})
        measures[-1]["histogram"] = {**histogram, "names": ["<b>", "png"], "of_labels": True}
        skew = common | {"group": "store", "name": "skew/pin_stats__saves", "key": "store/all/skew/pin_stats__saves"}
        measures.append(skew | {"sure": 0.0, "over": False, "histogram": None})
        look = {"space": "v7", "model": "models:/pinclip/7", "catalogue": "/data/<pins>", "newest_pin": None}
        look |= {"time": "2026-11-21T20:00:00+00:00", "published": "2026-11-20T20:00:00+00:00", "pins": 4000}
        look |= {"newest_vector": "2026-11-21T19:00:00+00:00", "asked": 2000, "without_vector": 3, "pairs": 500}
        over = [f"facts/all/{name}" for name in names]
        return look | {"over": over, "measures": measures, "mlflow_run": "abc"} | changed

    return made
