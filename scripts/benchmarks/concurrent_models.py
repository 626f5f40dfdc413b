"""Measures several models of one service under load at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from benchmarks.systems import HttpSystem

CLIENTS = 8  # per model


@dataclass(frozen=True)
class ConcurrentThroughput:
    """Images/s of each model alone and at the same time as the others; failures of all."""

    models: tuple[str, ...]
    alone: tuple[float, ...]
    concurrent: tuple[float, ...]
    failures: int

    @property
    def efficiency(self) -> float:
        """Work done at the same time / work done alone. A request is weighted by its model's cost. 1 means no loss."""
        return sum(concurrent / alone for concurrent, alone in zip(self.concurrent, self.alone, strict=True))

    def __str__(self) -> str:
        rows = zip(self.models, self.alone, self.concurrent, strict=True)
        throughputs = ", ".join(
            f"{model} {alone:.1f} alone and {concurrent:.1f} with the others" for model, alone, concurrent in rows
        )
        return (
            f"All models at the same time, {CLIENTS} clients each: {throughputs} images/s; "
            f"{self.efficiency:.2f} of the work done alone"
        )


def run_concurrently(systems: Sequence[HttpSystem], seconds: float, rounds: int) -> ConcurrentThroughput:
    """Measure each model alone, then all at the same time, and repeat."""
    alone, concurrent, failures = [0.0] * len(systems), [0.0] * len(systems), 0
    with ThreadPoolExecutor(len(systems)) as threads:
        for system in systems:
            system.run(CLIENTS, seconds)
        for _ in range(rounds):
            single = [system.run(CLIENTS, seconds) for system in systems]
            # The concurrent run is longer, so that each model has as many batches as in the run alone.
            together = list(threads.map(lambda system: system.run(CLIENTS, seconds * len(systems)), systems))
            alone = [total + run.requests / run.seconds / rounds for total, run in zip(alone, single, strict=True)]
            concurrent = [
                total + run.requests / run.seconds / rounds for total, run in zip(concurrent, together, strict=True)
            ]
            failures += sum(run.failures for run in (*single, *together))
    models = tuple(system.model for system in systems)
    return ConcurrentThroughput(models, tuple(alone), tuple(concurrent), failures)
