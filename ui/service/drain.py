"""Waiting until a version of a model has answered all its requests.

TorchServe drops the requests that a version has queued or in its workers when the version is removed or the server
ends, and has no call that waits for them.
"""

from __future__ import annotations

import time

from service.client import Client
from service.records import Version

DRAIN_SECONDS = 150.0  # a request may take 120
SETTLE_SECONDS = 0.5  # for a request that the server has read and not queued yet
POLL_SECONDS = 0.1


class NotDrained(Exception):
    """It is not certain that a version has answered all its requests. The message gives the reason."""


def wait_until_drained(client: Client, model: str, version: str, seconds: float | None = None) -> str:
    """Wait until every worker of a version was idle after its last request. Returns the result as a text.

    Raises NotDrained after some seconds (DRAIN_SECONDS), or for a version that is removed or not of this project, and
    ServiceError.

    strategy: the queue is first in, first out, and a worker takes nothing new while it is busy. A description with
    metadata goes through the queue: the worker that answers it has finished its earlier requests. Idle workers take
    turns, so repeated descriptions reach them all.
    """
    started, seconds = time.monotonic(), DRAIN_SECONDS if seconds is None else seconds
    time.sleep(SETTLE_SECONDS)
    idle: set[object] = set()
    while time.monotonic() - started < seconds:
        state = version_of(client, model, version)
        if not state.workers or not state.ready_workers:
            return "no worker has a request"  # none runs, and TorchServe has answered their requests with an error
        if state.queued == 0:
            idle.add(_idle_worker(client, model, version))
            if len(idle) >= len(state.workers):
                return f"idle after {time.monotonic() - started:.1f} s"
        else:
            idle.clear()  # a client sends requests to this version by its number
        time.sleep(POLL_SECONDS)
    raise NotDrained(f"version {version} still had requests after {seconds:.0f} s")


def version_of(client: Client, model: str, version: str) -> Version:
    """The current state of a version. Raises NotDrained if it is not registered, and ServiceError."""
    try:
        return client.describe_model(model).version(version)
    except KeyError:
        raise NotDrained(f"version {version} of {model} is not registered any more") from None


def _idle_worker(client: Client, model: str, version: str) -> object:
    """The process id of an idle worker."""
    metadata = client.describe(model, version, customized=True)[0].get("customizedMetadata")
    if not isinstance(metadata, dict) or "worker" not in metadata:
        raise NotDrained(f"version {version} does not tell which of its workers is idle")
    return metadata["worker"]
