"""The processes of a service under test."""

from __future__ import annotations

import os
import time

import psutil


def processes_of(environment: dict[str, str]) -> list[psutil.Process]:
    """Everything that runs on behalf of the service with this environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get("RUN_DIR") == environment["RUN_DIR"]:
                found.append(process)
        except psutil.Error:
            continue
    return found


def none_left(environment: dict[str, str], seconds: float = 20) -> bool:
    """Whether they all end within a time."""
    deadline = time.monotonic() + seconds
    while processes_of(environment) and time.monotonic() < deadline:
        time.sleep(0.2)
    return not processes_of(environment)
