"""The processes of a service under test."""

from __future__ import annotations

import os
import time

import psutil

END_SECONDS = 60.0  # a deadline for processes that hang


def processes_of(environment: dict[str, str]) -> list[psutil.Process]:
    """All processes of the service with this environment."""
    processes = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get("RUN_DIR") == environment["RUN_DIR"]:
                processes.append(process)
        except psutil.Error:
            continue
    return processes


def all_ended(environment: dict[str, str], seconds: float = END_SECONDS) -> bool:
    """Wait until all processes of the service have ended. Returns False if some still run after so many seconds."""
    deadline = time.monotonic() + seconds
    while running := processes_of(environment):
        if time.monotonic() > deadline:
            return False
        psutil.wait_procs(running, timeout=1)
    return True
