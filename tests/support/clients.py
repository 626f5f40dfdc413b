"""Clients that send requests at the same time, for as long as a block runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

CLIENTS = 8
WAIT_SECONDS = 300.0  # a deadline for a hanging service, not an expectation


class Clients:
    """Running clients, and how many requests each has completed."""

    def __init__(self, pool: ThreadPoolExecutor, new_client: Callable[[], Callable[[], None]]) -> None:
        self._completed = [0] * CLIENTS
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self.futures = [pool.submit(self._run, index, new_client()) for index in range(CLIENTS)]

    def _run(self, index: int, send: Callable[[], None]) -> None:
        while not self._stop.is_set():
            send()
            with self._changed:
                self._completed[index] += 1
                self._changed.notify_all()

    def wait_for_each(self, more: int, at_least: int = 0) -> None:
        """Return when each client has completed so many more requests, and so many in all; or when one has failed."""
        deadline = time.monotonic() + WAIT_SECONDS
        with self._changed:
            targets = [max(at_least, count + more) for count in self._completed]
            while any(count < target for count, target in zip(self._completed, targets, strict=True)):
                if any(future.done() for future in self.futures):
                    return
                assert time.monotonic() < deadline, f"requests completed by each client: {self._completed}"
                self._changed.wait(1.0)

    def stop(self) -> None:
        self._stop.set()


@contextmanager
def running_clients(new_client: Callable[[], Callable[[], None]], at_least: int = 0) -> Iterator[Clients]:
    """Eight clients that send requests during the block.

    Each completes a request before the block begins, begins and completes one after its end, and `at_least` so many in
    all. new_client: gives a client's function that sends one request. An exception of a client is raised here.
    """
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = Clients(pool, new_client)
        try:
            clients.wait_for_each(1)
            yield clients
            clients.wait_for_each(2, at_least)  # the first of the two may have begun within the block
        finally:
            clients.stop()
    for future in clients.futures:
        future.result()
