"""Calculates the cores, replicas and costs of a load from what scripts/benchmark measured on one machine."""

from __future__ import annotations

import math
from dataclasses import dataclass

from planning.benchmark_results import BenchmarkResult, Measurement
from server.runtime.sizing import default_workers

JOB_QUEUE_SIZE = 100  # as in config.properties


@dataclass(frozen=True)
class Load:
    """The required throughput and its conditions.

    headroom: share of a replica's throughput that stays free, 0 up to 1. image_bytes: of an encoded image.
    core_hour_price: in any currency.
    """

    images_per_second: float
    headroom: float
    cores_per_replica: int | None
    image_bytes: int
    core_hour_price: float | None


@dataclass(frozen=True)
class Plan:
    """What one model needs for a load. Rates in images/s, memory in bytes."""

    benchmark: BenchmarkResult
    load: Load

    @property
    def cores_per_replica(self) -> int:
        """As required, by default as many as were measured."""
        return self.load.cores_per_replica or self.benchmark.cores

    @property
    def scale(self) -> float:
        """Cores of a replica / cores measured. Throughput is assumed to grow with the cores."""
        return self.cores_per_replica / self.benchmark.cores

    @property
    def replica_rate(self) -> float:
        """Throughput of a saturated replica."""
        return self.benchmark.saturated.throughput * self.scale

    @property
    def replicas(self) -> int:
        """The fewest replicas that leave the headroom free."""
        needed = self.load.images_per_second / (self.replica_rate * (1 - self.load.headroom))
        return max(1, math.ceil(needed - 1e-9))

    @property
    def cores(self) -> int:
        """Cores of all replicas."""
        return self.replicas * self.cores_per_replica

    @property
    def utilisation(self) -> float:
        """The load / the throughput of all saturated replicas."""
        return self.load.images_per_second / (self.replicas * self.replica_rate)

    @property
    def utilisation_without_one(self) -> float | None:
        """Utilisation while one replica is missing; None if there is only one."""
        return self.utilisation * self.replicas / (self.replicas - 1) if self.replicas > 1 else None

    @property
    def workers(self) -> int:
        """Workers of this model in a replica, as scripts/up starts them."""
        return default_workers(self.cores_per_replica)

    @property
    def replica_bytes(self) -> int:
        """Measured memory, multiplied if a replica has more workers than were measured (the frontend's share too)."""
        growth = max(1.0, self.workers / default_workers(self.benchmark.cores))
        return round(self.benchmark.saturated.resident_bytes * growth)

    @property
    def bits_per_second(self) -> float:
        """Network traffic of all images to the service. Responses add a few kB each."""
        return 8 * self.load.image_bytes * self.load.images_per_second

    @property
    def measurement(self) -> Measurement:
        """The measurement in which the machine was about as busy as a replica will be."""
        return self.benchmark.at(self.utilisation * self.benchmark.saturated.throughput)

    @property
    def full_queue_seconds(self) -> float:
        """Minimum waiting time of the last request in a full queue."""
        return JOB_QUEUE_SIZE / self.replica_rate

    @property
    def core_hours_per_million(self) -> float:
        """Core hours for a million images at this load, the idle share included."""
        return 1e6 / self.load.images_per_second * self.cores / 3600

    @property
    def cost_per_million(self) -> float | None:
        """In the currency of the price."""
        return None if self.load.core_hour_price is None else self.core_hours_per_million * self.load.core_hour_price
