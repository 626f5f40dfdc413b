"""The page: Streamlit in a process of its own, which ends with TorchServe.

`python -m server.runtime.page PID` is that process: it serves ui/app.py while process PID, the server, runs.
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

from server.runtime.process import StartedProcess
from server.runtime.settings import ROOT, Settings

START_SECONDS = 60.0
STOP_SECONDS = 5.0
WATCH_SECONDS = 0.5
POLL_SECONDS = 0.1


def start_page(settings: Settings, server_pid: int) -> StartedProcess:
    """Start the page for the server with this process id. It is not ready yet on return."""
    with page_log(settings).open("a") as log:  # appends, so that the cause of a crash is kept
        process = subprocess.Popen(
            [sys.executable, "-m", "server.runtime.page", str(server_pid)],
            cwd=ROOT, env=_environment(settings), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    page = StartedProcess.from_pid(process.pid)
    _state_file(settings).write_text(json.dumps(asdict(page)))
    return page


def find_page(settings: Settings) -> StartedProcess | None:
    """The page that was started last with these settings, whether it runs or not."""
    try:
        content = json.loads(_state_file(settings).read_text())
        return StartedProcess(content["pid"], content["created"])
    except (OSError, ValueError, KeyError):
        return None


def stop_page(settings: Settings) -> None:
    """Stop the page of these settings, if it runs."""
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
    _state_file(settings).unlink(missing_ok=True)


def wait_for_page(settings: Settings, page: StartedProcess, progress: Callable[[str], None]) -> bool:
    """Wait until the page answers. Returns False if it ends, or does not answer within START_SECONDS."""
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
    """The environment of the page. The addresses are those of its own server, whatever the shell's variables say."""
    return {
        **os.environ,
        "INFERENCE_URL": settings.inference_url,
        "MANAGEMENT_URL": settings.management_url,
        "METRICS_URL": settings.metrics_url,
        "KEY_FILE": str(settings.key_file),
        "MODEL_STORE": str(settings.model_store),
        "UI_PORT": str(settings.ui_port),
    }


def page_log(settings: Settings) -> Path:
    """The log of the page."""
    return settings.run / "logs" / "ui.log"


def _state_file(settings: Settings) -> Path:
    return settings.run / "page.json"


def _end_after(server: StartedProcess) -> None:
    """End this process when the server has ended, for whatever reason."""
    while server.process():
        time.sleep(WATCH_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_SECONDS)
    os._exit(0)


def main() -> None:
    """Serve the page until the server ends."""
    threading.Thread(target=_end_after, args=(StartedProcess.from_pid(int(sys.argv[1])),), daemon=True).start()
    # The other options are in ui/.streamlit/config.toml.
    sys.argv = ["streamlit", "run", str(ROOT / "ui" / "app.py"), "--server.port", os.environ["UI_PORT"]]
    runpy.run_module("streamlit", run_name="__main__")


if __name__ == "__main__":
    main()
