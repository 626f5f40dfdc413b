"""The service's answers to a visitor's requests, so that neither a rerun nor a higher threshold sends them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from page.messages import explain
from page.picture import Picture
from service.answers import Answer

MAX_OUTCOMES = 2000
Options = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class DetectionRequest:
    """The request that is sent for every picture, without the picture. `confidence` is the threshold to send."""

    inference_url: str
    model: str
    version: str
    options: Options
    confidence: float


@dataclass(frozen=True)
class CachedOutcome:
    """The outcome for one picture at a confidence threshold: the answer, or the error instead of it."""

    confidence: float
    outcome: Answer | Exception

    def covers(self, confidence: float) -> bool:
        """Whether it is the outcome at this threshold too: an answer covers all higher ones."""
        return isinstance(self.outcome, Exception) or self.confidence <= confidence


class AnswerCache:
    """The outcomes of requests, the oldest dropped first. Threads of jobs add to it while the page reads it."""

    def __init__(self) -> None:
        self._outcomes: dict[tuple[str, str, str, str, Options], CachedOutcome] = {}

    def __len__(self) -> int:
        return len(self._outcomes)

    def get(self, picture: Picture, request: DetectionRequest) -> Answer | Exception | None:
        """The outcome for a picture, or None if it is not known at the request's threshold."""
        cached = self._outcomes.get(_key(picture, request))
        return cached.outcome if cached and cached.covers(request.confidence) else None

    def add(self, picture: Picture, request: DetectionRequest, outcome: Answer | Exception) -> None:
        """Keep an outcome."""
        self._outcomes[_key(picture, request)] = CachedOutcome(request.confidence, outcome)
        if len(self._outcomes) > MAX_OUTCOMES:
            for key in list(self._outcomes)[:-MAX_OUTCOMES]:
                self._outcomes.pop(key, None)

    def unanswered(self, pictures: Sequence[Picture], request: DetectionRequest) -> list[Picture]:
        """The pictures without a known outcome."""
        return [picture for picture in pictures if self.get(picture, request) is None]

    def drop(self, pictures: Sequence[Picture], request: DetectionRequest) -> None:
        """Forget the outcomes of these pictures."""
        for picture in pictures:
            self._outcomes.pop(_key(picture, request), None)

    def drop_failures(self) -> None:
        """Forget the errors after which a retry may succeed, so that their pictures are sent again."""
        for key, cached in list(self._outcomes.items()):
            if isinstance(cached.outcome, Exception) and explain(cached.outcome).retry:
                self._outcomes.pop(key, None)


def _key(picture: Picture, request: DetectionRequest) -> tuple[str, str, str, str, Options]:
    """The confidence is not part of the key, see CachedOutcome."""
    return picture.digest, request.inference_url, request.model, request.version, request.options
