"""A browser to test the report in: chromium, driven by WebDriver (W3C), which is JSON over HTTP.

On Debian: apt-get install chromium chromium-driver.
"""

import base64
import contextlib
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
SWITCHES = """
--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync --disable-dev-shm-usage --window-size=1280,1000
"""

Point = tuple[float, float]


class Browser:
    """One window."""

    def __init__(self, url: str, profile: Path) -> None:
        self.url = url
        switches = [*SWITCHES.split(), f"--user-data-dir={profile}"]
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": {"binary": CHROMIUM, "args": switches},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        self.url += "/session/" + self.ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """What the driver answers to one command."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {json.load(error)['value']['message']}") from None

    def open(self, path: Path) -> None:
        """Show a file; the log of requests then holds only its requests."""
        self.ask("POST", "/url", {"url": "about:blank"})
        self.requests()
        self.ask("POST", "/url", {"url": path.resolve().as_uri()})

    def choose(self, selector: str, file: Path) -> None:
        """Give a file to a file input."""
        self.ask("POST", f"/element/{self.find(selector)}/value", {"text": str(file.resolve())})

    def run(self, script: str, *arguments: object) -> Any:
        """The value that `script`, the body of a function, returns."""
        return self.ask("POST", "/execute/sync", {"script": script, "args": arguments})

    def wait(self, script: str) -> Any:
        """The first value of `script` that is not empty, within a minute."""
        end = time.monotonic() + 60
        while not (found := self.run(script)) and time.monotonic() < end:
            pass
        return found

    def find(self, selector: str) -> str:
        (found,) = self.ask("POST", "/element", {"using": "css selector", "value": selector}).values()
        return str(found)

    def act(self, kind: str, name: str, actions: list[dict[str, Any]], **more: object) -> None:
        self.ask("POST", "/actions", {"actions": [{"type": kind, "id": name, "actions": actions, **more}]})

    def drag(self, selector: str, way: list[Point], pointer: str = "mouse") -> None:
        """Press, go along `way`, points from the element's middle in CSS pixels, and let go."""
        origin = {"element-6066-11e4-a52e-4f735466cecf": self.find(selector)}
        moves = [{"type": "pointerMove", "duration": 0, "origin": origin, "x": round(x), "y": round(y)} for x, y in way]
        down, up = {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}
        self.act("pointer", pointer, [moves[0], down, *moves[1:], up], parameters={"pointerType": pointer})

    def press(self, keys: str, held: str = "") -> None:
        """Press and release each key, in WebDriver's characters, while the keys of `held` are down."""
        pressed = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        down, up = ([{"type": kind, "value": key} for key in held] for kind in ("keyDown", "keyUp"))
        self.act("key", "key", [*down, *pressed, *up])

    @contextlib.contextmanager
    def emulating(self, width: int, height: int, scheme: str = "light") -> Iterator[None]:
        """A window of another size (a phone if it is narrow), with a light or dark colour scheme."""
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.emulate("setDeviceMetricsOverride", **screen)
        self.emulate("setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        try:
            yield
        finally:
            self.emulate("clearDeviceMetricsOverride")
            self.emulate("setEmulatedMedia", features=[])

    def emulate(self, what: str, **how: object) -> None:
        """One command of the DevTools protocol (domain Emulation)."""
        self.ask("POST", "/goog/cdp/execute", {"cmd": f"Emulation.{what}", "params": how})

    def complaints(self) -> list[str]:
        """What the page wrote to its console, errors included."""
        return [entry["message"] for entry in self.ask("POST", "/se/log", {"type": "browser"})]

    def requests(self) -> list[str]:
        """The addresses that the page asked the network for."""
        events = [
            json.loads(entry["message"])["message"] for entry in self.ask("POST", "/se/log", {"type": "performance"})
        ]
        return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]

    def picture(self, path: Path) -> None:
        """Save what the window shows."""
        path.write_bytes(base64.b64decode(self.ask("GET", "/screenshot")))


@contextlib.contextmanager
def browsing(profile: Path) -> Iterator[Browser]:
    """A browser of its own, closed afterwards."""
    with subprocess.Popen([str(DRIVER), "--port=0"], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout
        line = next(line for line in driver.stdout if "started successfully" in line)
        browser = None
        try:
            browser = Browser(f"http://127.0.0.1:{line.split()[-1].rstrip('.')}", profile)
            yield browser
        finally:
            if browser:
                browser.ask("DELETE", "")
            driver.terminate()
