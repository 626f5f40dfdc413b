"""What the attacks on the stack share: a picture to send, and another client that must be served meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from service.errors import Busy
from support.pictures import crowded, encoded
from support.stack.stack import Stack

PICTURE = encoded(0, "PNG", (64, 64))


def served_meanwhile(stack: Stack, attack: Callable[[], None], max_seconds: float = 30.0) -> None:
    """Run an attack. Another client gets correct answers meanwhile, each within `max_seconds`."""
    client = stack.client()
    expected = client.detect("shapes", crowded()).detections
    thread = threading.Thread(target=attack)
    thread.start()
    rounds = 0
    while thread.is_alive() or rounds < 5:
        started = time.monotonic()
        for _ in range(20):  # 503 means a full queue: retry
            try:
                assert client.detect("shapes", crowded()).detections == expected
                break
            except Busy:
                continue
        else:
            pytest.fail("another client was refused twenty times")
        assert time.monotonic() - started < max_seconds
        rounds += 1
    thread.join()
    assert stack.health() == "healthy"
