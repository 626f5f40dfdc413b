"""Whether every model of the service has its workers, and of what one died that does not come."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

from server.runtime.settings import Settings
from server.runtime.torchserve import Server, ServerError, console
from service.client import Client, ServiceError

START_SECONDS = 180.0
POLL_SECONDS = 0.2
DIED = "Backend worker process died."
# The name of the thread that copies a worker's words into the log: W-<port>-<model>_<version>-stdout
THREAD = re.compile(r"W-\d+-(?P<model>\S+)_[\d.]+-std(?:out|err)\S* (?P<text>.*)")


def wait_until_ready(settings: Settings, server: Server, client: Client, progress: Callable[[str], None]) -> None:
    """Return when every model of `server` has its workers; `progress` is told how far it is.

    Raises ServerError if the server ends, a worker dies while loading, or START_SECONDS pass.
    """
    deadline = time.monotonic() + START_SECONDS
    waiting = list(server.models)
    while waiting:
        if not server.process():
            raise ServerError(f"TorchServe ended while starting; {console(settings, 6)}")
        death = worker_death(settings.log)
        if death:
            raise ServerError(f"{death}; the whole story stands in {settings.log}")
        waiting = [model for model in waiting if not is_ready(client, model)]
        if waiting and time.monotonic() > deadline:
            raise ServerError(f"not ready after {START_SECONDS:.0f} s: {', '.join(waiting)}; see {settings.log}")
        if waiting:
            progress(f"waiting for {', '.join(waiting)}")
            time.sleep(POLL_SECONDS)


def is_ready(client: Client, model: str) -> bool:
    """Whether the management API knows as many READY workers of `model` as it should have."""
    try:
        entry = client.describe(model)[0]
    except ServiceError:
        return False  # not listening yet, no key file yet, or the model is not registered yet
    ready = [worker for worker in entry["workers"] if worker["status"] == "READY"]
    return len(ready) >= max(1, int(entry["minWorkers"]))


def worker_death(log: Path) -> str | None:
    """The cause of the first worker death in the server's log, or None."""
    text = log.read_text(errors="replace") if log.exists() else ""
    matches = [match for match in map(THREAD.search, text.splitlines()) if match]
    start = next((index for index, match in enumerate(matches) if DIED in match["text"]), None)
    if start is None:
        return None
    model = matches[start]["model"]
    words = [match["text"].strip() for match in matches[start + 1 :] if match["model"] == model]
    # The traceback ends with the first line that begins like an exception's name.
    causes = (line for line in words if re.match(r"[\w.]*(Error|Exception|Exit|Interrupt)\b", line))
    cause = next(causes, "no cause given")
    return f"a worker of {model} died while loading: {cause}"
