"""What a load takes, as multiples of what one machine did under scripts/benchmark."""

from __future__ import annotations

import math
from dataclasses import dataclass

from planning.benchmark_results import Measured, Point
from server.runtime.settings import default_workers

QUEUE = 100  # job_queue_size of config.properties


@dataclass(frozen=True)
class Load:
    """What is asked for. headroom: the share of a replica's throughput that is kept free; price: of a core's hour."""

    images_per_second: float
    headroom: float
    cores_per_replica: int | None
    image_bytes: int
    price: float | None


@dataclass(frozen=True)
class Plan:
    """What one model takes for a load. Rates in images/s, memory in bytes."""

    measured: Measured
    load: Load

    @property
    def cores_per_replica(self) -> int:
        """As many as were measured, unless others are wanted."""
        return self.load.cores_per_replica or self.measured.cores

    @property
    def scale(self) -> float:
        """A replica's cores to those measured. Other than 1 it is an assumption: throughput grows with the cores."""
        return self.cores_per_replica / self.measured.cores

    @property
    def replica_rate(self) -> float:
        """What a replica does when it is saturated."""
        return self.measured.saturated.throughput * self.scale

    @property
    def replicas(self) -> int:
        """As few as leave the headroom free."""
        needed = self.load.images_per_second / (self.replica_rate * (1 - self.load.headroom))
        return max(1, math.ceil(needed - 1e-9))

    @property
    def cores(self) -> int:
        """Of all replicas."""
        return self.replicas * self.cores_per_replica

    @property
    def use(self) -> float:
        """The share of what the replicas can do that the load is."""
        return self.load.images_per_second / (self.replicas * self.replica_rate)

    @property
    def use_without_one(self) -> float | None:
        """The same while one replica is missing; None where there is no other."""
        return self.use * self.replicas / (self.replicas - 1) if self.replicas > 1 else None

    @property
    def workers(self) -> int:
        """Of this model in a replica, as scripts/up starts them."""
        return default_workers(self.cores_per_replica)

    @property
    def replica_bytes(self) -> int:
        """Measured memory; where there are more workers it grows with them, and TorchServe's own part with it."""
        growth = max(1.0, self.workers / default_workers(self.measured.cores))
        return round(self.measured.saturated.resident_bytes * growth)

    @property
    def bits_per_second(self) -> float:
        """Pictures alone, in all; answers are a few kB."""
        return 8 * self.load.image_bytes * self.load.images_per_second

    @property
    def point(self) -> Point:
        """Where the benchmark had a machine about as busy as a replica will be."""
        return self.measured.at(self.use * self.measured.saturated.throughput)

    @property
    def queue_seconds(self) -> float:
        """How long who comes last into a full queue waits at least."""
        return QUEUE / self.replica_rate

    @property
    def core_hours_per_million(self) -> float:
        """Of all cores, the idle share too, for a million images at this load."""
        return 1e6 / self.load.images_per_second * self.cores / 3600

    @property
    def cost_per_million(self) -> float | None:
        """In the price's currency."""
        return None if self.load.price is None else self.core_hours_per_million * self.load.price
