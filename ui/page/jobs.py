"""Sending several pictures to the service in parallel, in the background, until all are answered or it is stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from page.answer_cache import AnswerCache, DetectionRequest
from page.picture import Picture
from service.answers import Answer

MAX_PARALLEL = 4  # requests: enough to fill a batch, few enough to leave workers for other clients


class DetectionJob:
    """One request for several pictures. Its threads send them in order and add the outcomes to the cache."""

    def __init__(
        self,
        pictures: Sequence[Picture],
        request: DetectionRequest,
        cache: AnswerCache,
        detect: Callable[[Picture], Answer],
    ) -> None:
        self.request = request
        self.total = len(pictures)
        self.stopped = False
        self._digests = {picture.digest for picture in pictures}
        self._waiting = list(reversed(pictures))
        self._cache = cache
        self._detect = detect
        self._lock = threading.Lock()
        self._answered = 0
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(min(MAX_PARALLEL, self.total))]

    def start(self) -> DetectionJob:
        """Start the threads."""
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        """Send no more pictures. Those that are sent already still get their answers."""
        with self._lock:
            self.stopped = self.stopped or bool(self._waiting)
            self._waiting.clear()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for each thread to end, at most `seconds` each. Returns whether all have ended."""
        for thread in self._threads:
            thread.join(seconds)
        return self.done

    def will_answer(self, pictures: Sequence[Picture], request: DetectionRequest) -> bool:
        """Whether the job is running and these pictures with this request are among its own."""
        return not self.done and self.request == request and {picture.digest for picture in pictures} <= self._digests

    @property
    def done(self) -> bool:
        """Whether all threads have ended."""
        return not any(thread.is_alive() for thread in self._threads)

    @property
    def answered(self) -> int:
        """The number of pictures with an answer or an error."""
        return self._answered

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    return
                picture = self._waiting.pop()
            try:
                outcome: Answer | Exception = self._detect(picture)
            except Exception as error:  # any error is this picture's own; the others are still sent
                outcome = error
            self._cache.add(picture, self.request, outcome)
            with self._lock:
                self._answered += 1
