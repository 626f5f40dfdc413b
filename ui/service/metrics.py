"""Request rates and mean times of the models, from the counters of TorchServe's metrics API.

TorchServe counts requests and sums their times for each model. These give means over a period, and no quantiles.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import requests

from service.errors import ErrorKind, Failed, TimedOut, Unreachable
from service.exposition import read_samples

TIMEOUT = (3.0, 5.0)  # seconds to connect and to read
REQUESTS = "ts_inference_requests_total"
LATENCY = "ts_inference_latency_microseconds"
QUEUEING = "ts_queue_latency_microseconds"
COUNTERS = (REQUESTS, LATENCY, QUEUEING)
MAX_SCRAPES = 300


@dataclass(frozen=True)
class ModelCounters:
    """A model's counters: requests, and the sums of their seconds in the server and in its queue."""

    requests: float = 0.0
    latency: float = 0.0
    queueing: float = 0.0

    def since(self, before: ModelCounters) -> ModelCounters:
        """The increase since `before`. After a restart of the server, which resets the counters, all they count."""
        if min(self.requests - before.requests, self.latency - before.latency, self.queueing - before.queueing) < 0:
            return self
        return ModelCounters(
            self.requests - before.requests, self.latency - before.latency, self.queueing - before.queueing
        )


@dataclass(frozen=True)
class Scrape:
    """The counters of all models (all versions together) at one time. `at`: Unix seconds."""

    at: float
    models: Mapping[str, ModelCounters]


@dataclass(frozen=True)
class Point:
    """A model's activity in the period that ends `at`. The times are seconds per request, None without a request."""

    at: float
    requests_per_second: float
    latency: float | None
    queueing: float | None


def scrape(metrics_url: str) -> Scrape:
    """The current counters. Raises Unreachable, TimedOut or Failed."""
    session = requests.Session()
    session.trust_env = False
    try:
        response = session.get(f"{metrics_url}/metrics", timeout=TIMEOUT, allow_redirects=False)
    except requests.ReadTimeout as error:
        raise TimedOut(f"{metrics_url} did not answer within {TIMEOUT[1]:.0f} s") from error
    except requests.RequestException as error:
        raise Unreachable(f"no answer from {metrics_url}: {type(error).__name__}") from error
    if response.status_code != 200:
        message = f"{metrics_url} answers HTTP {response.status_code}"
        raise Failed(message, response.status_code, kind=ErrorKind.INVALID_ANSWER)
    return Scrape(time.time(), read_counters(response.text))


def read_counters(text: str) -> dict[str, ModelCounters]:
    """The counters of each model in the text of the metrics API. Raises Failed for any other text."""
    sums: dict[str, dict[str, float]] = {}
    try:
        for sample in read_samples(text):
            model = sample.labels.get("model_name")
            if model and sample.name in COUNTERS:
                counters = sums.setdefault(model, dict.fromkeys(COUNTERS, 0.0))
                counters[sample.name] += sample.value
    except ValueError as error:
        message = f"the metrics API did not answer with Prometheus metrics: {error}"
        raise Failed(message, kind=ErrorKind.INVALID_ANSWER) from error
    return {
        model: ModelCounters(counters[REQUESTS], counters[LATENCY] / 1e6, counters[QUEUEING] / 1e6)
        for model, counters in sums.items()
    }


class History:
    """The last scrapes, and each model's activity between them."""

    def __init__(self, max_scrapes: int = MAX_SCRAPES) -> None:
        self._scrapes: deque[Scrape] = deque(maxlen=max_scrapes)

    def add(self, scraped: Scrape) -> None:
        """Add a scrape, unless it is not later than the last one."""
        if not self._scrapes or scraped.at > self._scrapes[-1].at:
            self._scrapes.append(scraped)

    def points(self, model: str) -> list[Point]:
        """A point for each period between two scrapes, oldest first."""
        return [_point(model, before, after) for before, after in pairwise(list(self._scrapes))]


def _point(model: str, before: Scrape, after: Scrape) -> Point:
    increase = after.models.get(model, ModelCounters()).since(before.models.get(model, ModelCounters()))
    rate = increase.requests / (after.at - before.at)
    if increase.requests == 0:
        return Point(after.at, rate, None, None)
    return Point(after.at, rate, increase.latency / increase.requests, increase.queueing / increase.requests)
