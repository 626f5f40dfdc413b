"""Clients that ask the stack all the time and check every answer, while something is done to it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from service.client import Client, ServiceError
from service.errors import InvalidToken
from support.pictures import crowded
from support.stack.stack import Stack
from support.swap_load import CLIENTS, at_work

MODEL = "shapes"
LEAST = 25  # requests of each client, so that there are 200 in all
SECONDS = 180.0


@dataclass
class Traffic:
    """What was answered. A request that failed was tried again until it was answered."""

    answered: int = 0
    wrong: list[str] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    words: dict[str, str] = field(default_factory=dict)
    last_failure: float = 0.0
    first_failure: float = 0.0

    def summary(self, what: str) -> str:
        """A line for people."""
        whole = self.last_failure - self.first_failure if self.failed else 0.0
        failures = ", ".join(f"{count} x {kind}" for kind, count in self.failed.most_common()) or "none"
        counts = f"{self.answered} answered, {len(self.wrong)} of them wrong"
        return f"{what}: {counts}, failed tries: {failures}, over {whole:.1f} s {self.words or ''}"


@contextmanager
def traffic(stack: Stack) -> Iterator[Traffic]:
    """Clients of a stack, which read its token again where it refuses theirs."""
    with traffic_at(stack.inference_url, stack.folder / "key_file.json", stack.client) as found:
        yield found


@contextmanager
def traffic_at(url: str, token: Path, renew: Callable[[], object]) -> Iterator[Traffic]:
    """Eight clients for as long as the block runs, and until each has had LEAST answers.

    `renew` writes the token that is in force into the key file `token`.
    """
    picture = crowded()
    renew()
    expected = Client(url, key_file=token).detect(MODEL, picture).detections
    assert len(expected) >= 4
    found, ending, lock = Traffic(), threading.Event(), threading.Lock()

    def ask() -> None:
        own = Client(url, key_file=token, retries=0)
        answers = 0
        deadline = time.monotonic() + SECONDS
        while answers < LEAST or not ending.is_set():
            if time.monotonic() > deadline:
                found.unanswered += 1
                return
            try:
                answer = own.detect(MODEL, picture)
            except ServiceError as error:
                now = time.monotonic()
                with lock:
                    # Where a container is gone, something else of the network may answer in its place.
                    ours = error.status == 0 or error.kind
                    found.failed[f"{type(error).__name__} {error.status or ''}".strip() if ours else "Unreachable"] += 1
                    found.words.setdefault(type(error).__name__, str(error))
                    found.first_failure = found.first_failure or now
                    found.last_failure = now
                if isinstance(error, InvalidToken):  # a new server has new tokens
                    with lock, suppress(AssertionError, ValueError):
                        renew()
                time.sleep(0.1)
            else:
                answers += 1
                with lock:
                    found.answered += 1
                    found.versions[answer.version] += 1
                    if answer.detections != expected:
                        found.wrong.append(str(answer))

    with at_work(ask, ending, 1.0):
        yield found
    assert found.answered >= CLIENTS * LEAST
    assert found.unanswered == 0
    assert found.wrong == []
