"""Several pictures sent to the service side by side, in the background, until all are answered or it is stopped."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from page.messages import explain
from service.client import Answer

AT_ONCE = 4  # requests: enough to fill a batch, few enough to leave room for others


@dataclass(frozen=True)
class Picture:
    """A file by its name and its bytes, which are sent as they are."""

    name: str
    data: bytes = field(repr=False)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the bytes."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True)
class Question:
    """What is asked of the service about every picture. `confidence` is no part of the question's key, see Asked."""

    service: str
    model: str
    version: str
    options: tuple[tuple[str, Any], ...]
    confidence: float


Key = tuple[str, str, str, str, tuple[tuple[str, Any], ...]]


@dataclass(frozen=True)
class Asked:
    """What the service gave for one picture at a confidence threshold: an answer, or the error instead of it."""

    confidence: float
    outcome: Answer | Exception

    def serves(self, confidence: float) -> bool:
        """Whether there is no need to ask again at this threshold: an answer holds for all that are higher."""
        return isinstance(self.outcome, Exception) or self.confidence <= confidence


Memory = MutableMapping[Key, Asked]


def key_of(picture: Picture, question: Question) -> Key:
    """What an answer is remembered by: a rerun of the page, and the same picture sent twice, cost nothing."""
    return picture.digest, question.service, question.model, question.version, question.options


def missing(pictures: Sequence[Picture], question: Question, memory: Memory) -> list[Picture]:
    """Those whose answer at the question's threshold is not in memory."""
    found = [(picture, memory.get(key_of(picture, question))) for picture in pictures]
    return [picture for picture, asked in found if asked is None or not asked.serves(question.confidence)]


def forget_failures(memory: Memory) -> None:
    """Forget the errors that may not come again, so that their pictures are sent once more."""
    for key, asked in list(memory.items()):
        if isinstance(asked.outcome, Exception) and explain(asked.outcome).retry:
            memory.pop(key, None)


class Job:
    """Pictures on their way. Threads take them in order and put what they get into the memory."""

    def __init__(
        self, pictures: Sequence[Picture], question: Question, memory: Memory, ask: Callable[[Picture], Answer]
    ) -> None:
        self.question = question
        self.total = len(pictures)
        self.stopped = False
        self._left = list(reversed(pictures))
        self._memory = memory
        self._ask = ask
        self._lock = threading.Lock()
        self._answered = 0
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(min(AT_ONCE, self.total))]

    def start(self) -> Job:
        """Begin."""
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        """Send no more pictures; those that are with the service already still get their answers."""
        with self._lock:
            self.stopped = self.stopped or bool(self._left)
            self._left.clear()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end; whether it came within the time."""
        for thread in self._threads:
            thread.join(seconds)
        return self.done

    @property
    def done(self) -> bool:
        """Whether no more answers will come."""
        return not any(thread.is_alive() for thread in self._threads)

    @property
    def answered(self) -> int:
        """How many pictures have an answer or an error."""
        return self._answered

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._left:
                    return
                picture = self._left.pop()
            try:
                outcome: Answer | Exception = self._ask(picture)
            except Exception as error:  # of whatever kind, it is this picture's; the others go on
                outcome = error
            self._memory[key_of(picture, self.question)] = Asked(self.question.confidence, outcome)
            with self._lock:
                self._answered += 1
