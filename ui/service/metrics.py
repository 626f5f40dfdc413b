"""Rates and times of the models, from the counters of TorchServe's metrics API.

TorchServe counts requests and adds up their times, per model. So means over a while can be had; quantiles cannot.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import requests
from prometheus_client.parser import text_string_to_metric_families

from service.errors import Failed, TimedOut, Unreachable

TIMEOUT = (3.0, 5.0)  # seconds to connect and to read
REQUESTS = "ts_inference_requests"  # "_total" follows; the parser gives that to all counters
LATENCY = "ts_inference_latency_microseconds"
QUEUEING = "ts_queue_latency_microseconds"


@dataclass(frozen=True)
class Counts:
    """What a model's counters stand at: requests, and the sums of their times in the server and in its queue, in s."""

    requests: float = 0.0
    latency: float = 0.0
    queueing: float = 0.0

    def since(self, before: Counts) -> Counts:
        """What was counted since `before`. Where the counters began anew it is what they stand at."""
        if min(self.requests - before.requests, self.latency - before.latency, self.queueing - before.queueing) < 0:
            return self
        return Counts(self.requests - before.requests, self.latency - before.latency, self.queueing - before.queueing)


@dataclass(frozen=True)
class Scrape:
    """The counters of all models (all versions together) at one time. `at`: Unix seconds."""

    at: float
    models: Mapping[str, Counts]


@dataclass(frozen=True)
class Point:
    """What a model did in the while that ends `at`. The times, in seconds per request, are None where none came."""

    at: float
    requests_per_second: float
    latency: float | None
    queueing: float | None


def scrape(metrics_url: str) -> Scrape:
    """The counters as they are now. Raises Unreachable, TimedOut or Failed."""
    session = requests.Session()
    session.trust_env = False
    try:
        response = session.get(f"{metrics_url}/metrics", timeout=TIMEOUT, allow_redirects=False)
    except requests.ReadTimeout as error:
        raise TimedOut(f"{metrics_url} did not answer within {TIMEOUT[1]:.0f} s") from error
    except requests.RequestException as error:
        raise Unreachable(f"no answer from {metrics_url}: {type(error).__name__}") from error
    if response.status_code != 200:
        raise Failed(f"{metrics_url} answers HTTP {response.status_code}", response.status_code)
    return Scrape(time.time(), read_counts(response.text))


def read_counts(text: str) -> dict[str, Counts]:
    """The counters of each model in the metrics' text. Raises Failed where that is no such text."""
    sums: dict[str, dict[str, float]] = {}
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                model, name = sample.labels.get("model_name"), sample.name.removesuffix("_total")
                if model and name in (REQUESTS, LATENCY, QUEUEING):
                    counters = sums.setdefault(model, dict.fromkeys((REQUESTS, LATENCY, QUEUEING), 0.0))
                    counters[name] += sample.value
    except ValueError as error:
        raise Failed(f"the metrics API answers with something that is no metrics: {error}") from error
    return {model: Counts(each[REQUESTS], each[LATENCY] / 1e6, each[QUEUEING] / 1e6) for model, each in sums.items()}


class History:
    """The last scrapes, and what they say of each model."""

    def __init__(self, length: int = 300) -> None:
        self._scrapes: deque[Scrape] = deque(maxlen=length)

    def add(self, scraped: Scrape) -> None:
        """Remember one more; one that is no later than the last is left out."""
        if not self._scrapes or scraped.at > self._scrapes[-1].at:
            self._scrapes.append(scraped)

    def points(self, model: str) -> list[Point]:
        """A point for each while between two scrapes, oldest first."""
        scrapes = list(self._scrapes)
        return [_point(model, before, after) for before, after in pairwise(scrapes)]


def _point(model: str, before: Scrape, after: Scrape) -> Point:
    done = after.models.get(model, Counts()).since(before.models.get(model, Counts()))
    rate = done.requests / (after.at - before.at)
    if done.requests == 0:
        return Point(after.at, rate, None, None)
    return Point(after.at, rate, done.latency / done.requests, done.queueing / done.requests)
