"""The page: Streamlit in a process of its own, started beside TorchServe and gone with it.

`python -m server.runtime.page PID` is that process: it serves ui/app.py for as long as process PID, the server's, runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import psutil
import requests

from server.runtime.process import Started
from server.runtime.settings import ROOT, Settings

START_SECONDS = 60.0
STOP_SECONDS = 5.0
WATCH_SECONDS = 0.5
POLL_SECONDS = 0.1


def start_page(settings: Settings, server_pid: int) -> Started:
    """Start the page for the server with this process id; it is not ready yet on return."""
    with log_of(settings).open("a") as log:  # after a crash its cause stands there
        process = subprocess.Popen(
            [sys.executable, "-m", "server.runtime.page", str(server_pid)],
            cwd=ROOT, env=_environment(settings), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    page = Started.of(process.pid)
    _state(settings).write_text(json.dumps(asdict(page)))
    return page


def find_page(settings: Settings) -> Started | None:
    """The page that was started last with these settings, running or not."""
    try:
        content = json.loads(_state(settings).read_text())
        return Started(content["pid"], content["created"])
    except (OSError, ValueError, KeyError):
        return None


def stop_page(settings: Settings) -> None:
    """Stop the page of these settings, if there is one."""
    page = find_page(settings)
    process = page.process() if page else None
    if process:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except psutil.TimeoutExpired:
                process.kill()
                process.wait(STOP_SECONDS)
    _state(settings).unlink(missing_ok=True)


def wait_for_page(settings: Settings, page: Started, progress: Callable[[str], None]) -> bool:
    """Wait until the page answers; False if it ends or START_SECONDS pass before."""
    deadline = time.monotonic() + START_SECONDS
    session = requests.Session()
    session.trust_env = False
    while page.process() and time.monotonic() < deadline:
        with contextlib.suppress(requests.RequestException):
            if session.get(f"{settings.ui_url}/_stcore/health", timeout=2).ok:
                return True
        progress("waiting for the page")
        time.sleep(POLL_SECONDS)
    return False


def _environment(settings: Settings) -> dict[str, str]:
    """The environment of the page: its server is the one beside it, whatever the variables of the shell say."""
    return {
        **os.environ,
        "INFERENCE_URL": settings.inference_url,
        "MANAGEMENT_URL": settings.management_url,
        "METRICS_URL": settings.metrics_url,
        "KEY_FILE": str(settings.key_file),
        "MODEL_STORE": str(settings.model_store),
        "UI_PORT": str(settings.ui_port),
    }


def log_of(settings: Settings) -> Path:
    """What the page has to say."""
    return settings.run / "logs" / "ui.log"


def _state(settings: Settings) -> Path:
    return settings.run / "page.json"


def _end_with(server: Started) -> None:
    """End this process when the server is gone, however that came about."""
    while server.process():
        time.sleep(WATCH_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_SECONDS)
    os._exit(0)


def main() -> None:
    """Serve the page until the server ends."""
    threading.Thread(target=_end_with, args=(Started.of(int(sys.argv[1])),), daemon=True).start()
    # The other options stand in ui/.streamlit/config.toml.
    sys.argv = ["streamlit", "run", str(ROOT / "ui" / "app.py"), "--server.port", os.environ["UI_PORT"]]
    runpy.run_module("streamlit", run_name="__main__")


if __name__ == "__main__":
    main()
