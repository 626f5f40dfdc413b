"""Waiting for events. The deadlines are for what hangs; they say nothing about the speed of a machine."""

from __future__ import annotations

import time
from collections.abc import Callable

DEADLINE_SECONDS = 180.0
POLL_SECONDS = 0.1


def wait_for(condition: Callable[[], bool], seconds: float = DEADLINE_SECONDS) -> None:
    """Return when the condition holds. Fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"the condition did not hold within {seconds:.0f} s"
        time.sleep(POLL_SECONDS)


def settled(read: Callable[[], int], still_seconds: float = 1.0) -> int:
    """A number that changes, once it has not changed for so many seconds."""
    value, since = read(), time.monotonic()
    deadline = since + DEADLINE_SECONDS
    while time.monotonic() - since < still_seconds:
        assert time.monotonic() < deadline, "the number kept changing"
        time.sleep(POLL_SECONDS)
        if (now := read()) != value:
            value, since = now, time.monotonic()
    return value
