"""Waiting until a version of a model has answered all its requests.

TorchServe drops what a version still has in its queue or in its workers' hands when it is removed or when the server
ends, and does not say when there is nothing left.
"""

from __future__ import annotations

import time

from service.client import Client
from service.records import Version

DRAIN_SECONDS = 150.0  # a request may take 120
SETTLE_SECONDS = 0.5  # for a request that was read just before and is not in the queue yet
POLL_SECONDS = 0.1


class NotDrained(Exception):
    """It is not known that a version has answered everything. The message says why."""


def drain(client: Client, model: str, version: str, seconds: float | None = None) -> str:
    """Wait until every worker of a version was seen idle after its last request. Returns how it went.

    Raises NotDrained after some seconds (DRAIN_SECONDS), or where the version is gone or not of this project, and
    ServiceError.

    strategy: the queue is first in, first out, and a worker takes nothing new while it is busy. A description is
    asked for through the queue: the worker that answers has finished all that it had before. Idle workers take
    turns, so that asking again meets them all.
    """
    started, seconds = time.monotonic(), DRAIN_SECONDS if seconds is None else seconds
    time.sleep(SETTLE_SECONDS)
    idle: set[object] = set()
    while time.monotonic() - started < seconds:
        state = version_of(client, model, version)
        if not state.workers or not state.ready_workers:
            return "no worker has a request"  # none runs: what they had was answered by an error long ago
        if state.queued == 0:
            idle.add(_idle_worker(client, model, version))
            if len(idle) >= len(state.workers):
                return f"idle after {time.monotonic() - started:.1f} s"
        else:
            idle.clear()  # somebody asks for this version by its number
        time.sleep(POLL_SECONDS)
    raise NotDrained(f"version {version} still had requests after {seconds:.0f} s")


def version_of(client: Client, model: str, version: str) -> Version:
    """A version as it is now. Raises NotDrained where there is none any more, and ServiceError."""
    try:
        return client.describe_model(model).version(version)
    except KeyError:
        raise NotDrained(f"version {version} of {model} is gone; somebody removed it") from None


def _idle_worker(client: Client, model: str, version: str) -> object:
    """The process id of a worker that has nothing to do."""
    metadata = client.describe(model, version, customized=True)[0].get("customizedMetadata")
    if not isinstance(metadata, dict) or "worker" not in metadata:
        raise NotDrained(f"version {version} does not tell which of its workers is idle")
    return metadata["worker"]
