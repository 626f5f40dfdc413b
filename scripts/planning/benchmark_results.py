"""Reads the results of this service from the benchmark.json of scripts/benchmark."""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import dataclass
from pathlib import Path

DESIGN = "this service"


class BenchmarkResultsError(Exception):
    """The file cannot be used. The message is for the user."""


@dataclass(frozen=True)
class Measurement:
    """One number of clients, each of which sends its next request after the answer to the last.

    throughput: images/s. p50, p95, p99: latencies in seconds, the median over the rounds. cpu_seconds: per image.
    resident_bytes: of TorchServe's frontend and this model's workers, after the last round.
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
class BenchmarkResult:
    """One model on one machine. measurements: at least one, in order of clients."""

    model: str
    cores: int
    measurements: tuple[Measurement, ...]

    @property
    def saturated(self) -> Measurement:
        """The measurement with the most clients: the machine never waits for a request.

        strategy: not the one with the highest throughput, since with many measurements one is the highest by chance.
        """
        return self.measurements[-1]

    @property
    def busy_share(self) -> float:
        """Share of the cores' time that the saturated service used. Well below 1, the cores were not the limit."""
        return self.saturated.throughput * self.saturated.cpu_seconds / self.cores

    def at(self, rate: float) -> Measurement:
        """The measurement with the fewest clients that reached `rate` images/s, else the saturated one."""
        return next((point for point in self.measurements if point.throughput >= rate), self.saturated)


def read_benchmark_results(path: Path) -> dict[str, BenchmarkResult]:
    """The result of each model of this service, in the order of the file. Raises BenchmarkResultsError."""
    try:
        document = json.loads(path.read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BenchmarkResultsError(
            f"{path} cannot be read ({error}); the benchmark.json of scripts/benchmark was expected"
        ) from None
    try:
        cores = _positive(document["machine"]["cores"])
        rows = [row for row in document["results"] if row["design"] == DESIGN]
        measurements: dict[str, list[Measurement]] = {}
        for row in rows:
            measurements.setdefault(str(row["model"]), []).append(_measurement(row))
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise BenchmarkResultsError(f"{path} is not a benchmark.json of scripts/benchmark ({reason})") from None
    if not measurements:
        raise BenchmarkResultsError(
            f"{path} has no results of {DESIGN!r}; run scripts/benchmark on the machine type that will serve"
        )
    return {
        model: BenchmarkResult(model, int(cores), tuple(sorted(of_model, key=lambda measurement: measurement.clients)))
        for model, of_model in measurements.items()
    }


def _measurement(row: dict[str, object]) -> Measurement:
    samples = row["samples"]
    if not isinstance(samples, list):
        raise TypeError("samples is not a list")
    p50, p95, p99 = (
        float(statistics.median([_positive(sample[name]) for sample in samples])) for name in ("p50", "p95", "p99")
    )
    return Measurement(
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
