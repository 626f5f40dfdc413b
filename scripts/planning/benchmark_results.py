"""What scripts/benchmark measured of this service, read from the JSON that it writes."""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import dataclass
from pathlib import Path

OURS = "this service"


class MeasuredError(Exception):
    """The file cannot be used, in words for the user."""


@dataclass(frozen=True)
class Point:
    """One number of clients, each sending its next request when the last is answered.

    throughput: images/s; p50, p95, p99: seconds, the median over the rounds; cpu_seconds: for one image;
    resident_bytes: of TorchServe's own process and the workers of this model, after the last round.
    """

    clients: int
    throughput: float
    cpu_seconds: float
    resident_bytes: int
    failures: int
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True)
class Measured:
    """One model on one machine. `points` by rising clients, at least one."""

    model: str
    cores: int
    points: tuple[Point, ...]

    @property
    def saturated(self) -> Point:
        """With the most clients: what the machine does when it never waits for one.

        strategy: not the highest of all. With many points one of them is the highest by luck alone.
        """
        return self.points[-1]

    @property
    def busy_share(self) -> float:
        """Of all cores' time, what serving took at that point. Well below 1: it was not the cores that gave out."""
        return self.saturated.throughput * self.saturated.cpu_seconds / self.cores

    def at(self, rate: float) -> Point:
        """The fewest clients who got `rate` images/s, which is at most what the saturated machine gave."""
        return next((point for point in self.points if point.throughput >= rate), self.saturated)


def read_measured(path: Path) -> dict[str, Measured]:
    """Each model that this service was measured with, in the file's order. Raises MeasuredError."""
    try:
        document = json.loads(path.read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise MeasuredError(f"{path} cannot be read ({error}); expected benchmark.json of scripts/benchmark") from None
    try:
        cores = _positive(document["machine"]["cores"])
        rows = [row for row in document["results"] if row["design"] == OURS]
        points: dict[str, list[Point]] = {}
        for row in rows:
            points.setdefault(str(row["model"]), []).append(_point(row))
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        what = f"{type(error).__name__}: {error}"
        raise MeasuredError(f"{path} is not what scripts/benchmark writes as benchmark.json ({what})") from None
    if not points:
        raise MeasuredError(f"{path} has no results of {OURS!r}; run scripts/benchmark on the machine that will serve")
    return {
        model: Measured(model, int(cores), tuple(sorted(found, key=lambda point: point.clients)))
        for model, found in points.items()
    }


def _point(row: dict[str, object]) -> Point:
    samples = row["samples"]
    if not isinstance(samples, list):
        raise TypeError("samples is not a list")
    p50, p95, p99 = (
        float(statistics.median([_positive(sample[name]) for sample in samples])) for name in ("p50", "p95", "p99")
    )
    return Point(
        clients=int(_positive(row["clients"])),
        throughput=_positive(row["throughput"]),
        cpu_seconds=_positive(row["cpu_seconds"]),
        resident_bytes=int(_positive(samples[-1]["resident_bytes"])),
        failures=sum(int(sample["failures"]) for sample in samples),
        p50=p50,
        p95=p95,
        p99=p99,
    )


def _positive(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise ValueError(f"{value!r} where a number above 0 was expected")
    return value
