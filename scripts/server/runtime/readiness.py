"""Waits until every model of the service is ready, or reports why it does not become ready."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

from server.runtime.errors import ServerError
from server.runtime.settings import Settings
from server.runtime.torchserve import Server, log_hint
from service.client import Client
from service.errors import ServiceError

START_SECONDS = 180.0
POLL_SECONDS = 0.2
DEATH_MESSAGE = "Backend worker process died."
# TorchServe logs a worker's output in a thread of this name: W-<port>-<model>_<version>-stdout
WORKER_LINE = re.compile(r"W-\d+-(?P<model>\S+)_[\d.]+-std(?:out|err)\S* (?P<text>.*)")


def wait_until_ready(settings: Settings, server: Server, client: Client, progress: Callable[[str], None]) -> None:
    """Return when every model of `server` is ready. `progress` is called with what is waited for.

    Raises ServerError if the server ends, a worker dies while loading, or START_SECONDS pass.
    """
    deadline = time.monotonic() + START_SECONDS
    waiting = list(server.models)
    while waiting:
        if not server.process():
            raise ServerError(f"TorchServe ended while starting; {log_hint(settings, 6)}")
        death = worker_death(settings.log)
        if death:
            raise ServerError(f"{death}; see {settings.log}")
        waiting = [model for model in waiting if not is_ready(client, model)]
        if waiting and time.monotonic() > deadline:
            raise ServerError(f"not ready after {START_SECONDS:.0f} s: {', '.join(waiting)}; see {settings.log}")
        if waiting:
            progress(f"waiting for {', '.join(waiting)}")
            time.sleep(POLL_SECONDS)


def is_ready(client: Client, model: str) -> bool:
    """Whether the model is registered and ready."""
    try:
        return client.describe_model(model).is_ready
    except ServiceError:
        return False  # the server does not listen yet, has written no tokens yet, or has not registered the model yet


def worker_death(log: Path) -> str | None:
    """The cause of the first worker death in the server's log, or None."""
    text = log.read_text(errors="replace") if log.exists() else ""
    lines = [line for line in map(WORKER_LINE.search, text.splitlines()) if line]
    start = next((index for index, line in enumerate(lines) if DEATH_MESSAGE in line["text"]), None)
    if start is None:
        return None
    model = lines[start]["model"]
    output = [line["text"].strip() for line in lines[start + 1 :] if line["model"] == model]
    # A traceback ends with the first line that begins with the name of an exception.
    causes = (line for line in output if re.match(r"[\w.]*(Error|Exception|Exit|Interrupt)\b", line))
    cause = next(causes, "no cause given")
    return f"a worker of {model} died while loading: {cause}"
