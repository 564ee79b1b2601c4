"""A real Chromium without a screen, driven over its DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
from doubles import DEADLINE_S

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
    "--no-first-run", "--disable-extensions", "--disable-background-networking",
    "--disable-dev-shm-usage",
)  # fmt: skip


def find_chromium() -> str | None:
    """Give the program, None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


SHOWN = "document.body.innerText"


class NavigatedError(Exception):
    """The page went away while it was asked."""


class Page:
    """One tab.

    Attributes:
        complaints: what its console and its security policy said.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, socket: aiohttp.ClientWebSocketResponse):
        self.complaints: list[str] = []
        self._loop = loop
        self._socket = socket
        self._session = ""
        self._number = 0

    def open(self, url: str) -> None:
        self._call("Page.navigate", url=url)

    def ask(self, script: str) -> Any:
        """Evaluate an expression, awaiting its promise; gives its JSON value."""
        answer = self._call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, script: str) -> None:
        """Wait until an expression is true."""
        until_s = time.monotonic() + DEADLINE_S
        while time.monotonic() < until_s:
            with suppress(NavigatedError):
                if self.ask(f"Boolean({script})"):
                    return
            self._loop.run_until_complete(asyncio.sleep(0.03))
        raise AssertionError(f"not in {DEADLINE_S} s: {script}\n{self.ask(SHOWN)}")

    def resize(self, width: int, height: int) -> None:
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 500,
        )  # fmt: skip

    def prefer(self, scheme: str) -> None:
        """Prefer "light" or "dark"."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._call("Emulation.setEmulatedMedia", features=features)

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, key=key)

    def picture(self) -> bytes:
        """Give the whole page as a PNG."""
        shot = self._call("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

    def start(self) -> None:
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for part in ("Page", "Runtime", "Log"):
            self._call(f"{part}.enable")

    def _call(self, method: str, **parameters: object) -> dict[str, Any]:
        answer = asyncio.wait_for(self._exchange(method, parameters), DEADLINE_S)
        return self._loop.run_until_complete(answer)

    async def _exchange(self, method: str, parameters: dict[str, object]) -> dict[str, Any]:
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        await self._socket.send_json(message)
        while True:
            heard = await self._socket.receive_json()
            if heard.get("id") == number:
                if "navigated" in heard.get("error", {}).get("message", ""):
                    raise NavigatedError
                assert "error" not in heard, heard
                return heard["result"]
            self._note(heard.get("method"), heard.get("params", {}))

    def _note(self, event: str | None, told: dict[str, Any]) -> None:
        if event == "Log.entryAdded":
            self.complaints.append(f"{told['entry']['level']}: {told['entry']['text']}")
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(str(told["exceptionDetails"]))
        elif event == "Runtime.consoleAPICalled":
            self.complaints.append(str([one.get("value") for one in told["args"]]))


@contextmanager
def open_page(program: str) -> Iterator[Page]:
    """Start Chromium with one empty tab."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [program, *FLAGS, f"--user-data-dir={profile}"]
        with subprocess.Popen(
            command, stderr=subprocess.DEVNULL, start_new_session=True
        ) as browser:
            loop = asyncio.new_event_loop()
            try:
                client, socket = loop.run_until_complete(_connect(Path(profile)))
                page = Page(loop, socket)
                page.start()
                yield page
                loop.run_until_complete(client.close())
            finally:
                loop.close()
                os.killpg(browser.pid, signal.SIGKILL)  # its many processes


async def _connect(profile: Path):
    """Give a client and its socket, once the browser has written where it listens."""
    told = profile / "DevToolsActivePort"
    until_s = time.monotonic() + DEADLINE_S
    while not told.exists() or told.read_text().count("\n") < 1:
        assert time.monotonic() < until_s, "Chromium did not start"
        await asyncio.sleep(0.03)
    port, path = told.read_text().split()
    client = aiohttp.ClientSession()
    return client, await client.ws_connect(f"ws://127.0.0.1:{port}{path}", max_msg_size=0)
