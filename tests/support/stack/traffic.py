"""Clients that send requests to the stack all the time and check every answer, while a test changes the stack."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from service.client import Client
from service.errors import InvalidToken, ServiceError
from support.clients import CLIENTS, running_clients
from support.pictures import crowded
from support.stack.stack import Stack

MODEL = "shapes"
MIN_REQUESTS = 25  # of each client, so that there are 200 in all
MAX_SECONDS = 180.0  # for one request and its retries
RETRY_SECONDS = 0.1


@dataclass
class Traffic:
    """The answers and failed attempts. A request that failed is sent again until it is answered."""

    answered: int = 0
    wrong: list[str] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    messages: dict[str, str] = field(default_factory=dict)
    first_failure: float = 0.0
    last_failure: float = 0.0

    def summary(self, title: str) -> str:
        """One line for the output of the tests."""
        seconds = self.last_failure - self.first_failure if self.failed else 0.0
        failures = ", ".join(f"{count} x {kind}" for kind, count in self.failed.most_common()) or "none"
        counts = f"{self.answered} answered, {len(self.wrong)} of them wrong"
        return f"{title}: {counts}, failed attempts: {failures}, over {seconds:.1f} s {self.messages or ''}"

    def add_failure(self, error: ServiceError) -> None:
        """Count a failed attempt by the kind of its error."""
        # While a container is stopped, another program of the network may answer in its place.
        is_ours = error.status == 0 or error.type
        self.failed[f"{type(error).__name__} {error.status or ''}".strip() if is_ours else "Unreachable"] += 1
        self.messages.setdefault(type(error).__name__, str(error))
        self.last_failure = time.monotonic()
        self.first_failure = self.first_failure or self.last_failure


@contextmanager
def traffic(stack: Stack) -> Iterator[Traffic]:
    """Clients of a stack, which read its token again when it refuses theirs."""
    with traffic_at(stack.inference_url, stack.folder / "key_file.json", stack.client) as counts:
        yield counts


@contextmanager
def traffic_at(url: str, key_file: Path, write_token: Callable[[], object]) -> Iterator[Traffic]:
    """Eight clients for as long as the block runs, and until each has had MIN_REQUESTS answers.

    `write_token` writes the current token into the key file.
    """
    picture = crowded()
    write_token()
    expected = Client(url, key_file=key_file).detect(MODEL, picture).detections
    assert len(expected) >= 4
    counts, lock = Traffic(), threading.Lock()

    def new_client() -> Callable[[], None]:
        client = Client(url, key_file=key_file, retries=0)

        def send_until_answered() -> None:
            deadline = time.monotonic() + MAX_SECONDS
            while time.monotonic() < deadline:
                try:
                    answer = client.detect(MODEL, picture)
                except ServiceError as error:
                    with lock:
                        counts.add_failure(error)
                    if isinstance(error, InvalidToken):  # a new server has new tokens
                        with lock, suppress(AssertionError, ValueError):
                            write_token()
                    time.sleep(RETRY_SECONDS)
                    continue
                with lock:
                    counts.answered += 1
                    counts.versions[answer.version] += 1
                    if answer.detections != expected:
                        counts.wrong.append(str(answer))
                return
            counts.unanswered += 1
            raise AssertionError(f"a request was not answered within {MAX_SECONDS:.0f} s: {counts.summary('so far')}")

        return send_until_answered

    with running_clients(new_client, MIN_REQUESTS):
        yield counts
    assert counts.answered >= CLIENTS * MIN_REQUESTS
    assert counts.unanswered == 0
    assert counts.wrong == []
