"""A real headless Chromium, driven by its DevTools protocol; what the page logs as an error fails the test."""

import base64
import itertools
import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import requests
import websocket

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


class Browser:
    def __init__(self, folder: Path) -> None:
        program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
        if program is None:
            pytest.skip("Chromium is not installed: apt-get install chromium")
        # Chromium refuses its sandbox to root, and /dev/shm is small in a container.
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        options += ["--remote-debugging-port=0", "--remote-allow-origins=*", f"--user-data-dir={folder}", "about:blank"]
        self.process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.numbers, self.problems = itertools.count(1), []
        port = self._until(lambda: (folder / "DevToolsActivePort").read_text().split()[0], OSError, IndexError)
        pages = [
            p for p in requests.get(f"http://127.0.0.1:{port}/json/list", timeout=60).json() if p["type"] == "page"
        ]
        self.socket = websocket.create_connection(pages[0]["webSocketDebuggerUrl"], timeout=120)
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters) -> dict:
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (message := json.loads(self.socket.recv())).get("id") != number:
            if message["method"] == "Runtime.exceptionThrown":
                self.problems.append(message["params"]["exceptionDetails"]["exception"].get("description", "?"))
            elif message["method"] == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
                self.problems.append(message["params"]["entry"]["text"])
        assert "error" not in message, message["error"]
        return message["result"]

    def size(self, width: int, height: int) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)

    def evaluate(self, script: str):
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, condition: str) -> None:
        """Until the JavaScript is true; what it refers to may still be missing."""
        self._until(lambda: self.evaluate(f"Boolean({condition})") or None, AssertionError, says=condition)

    def click(self, element: str) -> None:
        """With the mouse, in the middle of the element that the JavaScript gives, once it can take a click."""
        self.wait(f"({element}) && !({element}).disabled")
        box = f"JSON.stringify(({element}).getBoundingClientRect())"
        still = f"new Promise(go => {{ const b = {box}; setTimeout(() => go({box} === b), 150) }})"
        self._until(lambda: self.evaluate(still) or None, AssertionError, says=element)
        place = json.loads(self.evaluate(box))
        where = {"x": place["x"] + place["width"] / 2, "y": place["y"] + place["height"] / 2}
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **where)

    def write(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def press(self, key: str, code: int) -> None:
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def screenshot(self, file: Path) -> Path:
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
        return file

    def close(self) -> None:
        self.socket.close()
        self.process.terminate()
        self.process.wait(30)

    def _until(self, look, *expected: type[Exception], says: str = "Chromium"):
        for _ in range(1200):
            try:
                if (found := look()) is not None:
                    return found
            except expected:
                pass
            time.sleep(0.05)
        raise TimeoutError(f"{says}: not within a minute; the page said {self.problems}")
