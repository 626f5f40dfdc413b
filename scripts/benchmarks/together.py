"""Several models of one service under load at once: do they get in each other's way?"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from benchmarks.contestants import Served

CLIENTS = 8  # of each model


@dataclass(frozen=True)
class Together:
    """Requests per second of each model alone and with the others; failures of all."""

    models: tuple[str, ...]
    alone: tuple[float, ...]
    at_once: tuple[float, ...]
    failures: int

    @property
    def share(self) -> float:
        """What they reach at once of what they reach alone, each request weighted by its model's cost: 1 is no loss."""
        return sum(found / alone for found, alone in zip(self.at_once, self.alone, strict=True))

    def __str__(self) -> str:
        rows = zip(self.models, self.alone, self.at_once, strict=True)
        words = ", ".join(
            f"{model} {alone:.1f} alone and {at_once:.1f} with the others" for model, alone, at_once in rows
        )
        return f"At once, {CLIENTS} clients each: {words} images/s; {self.share:.2f} of the work done alone"


def run_together(served: Sequence[Served], seconds: float, rounds: int) -> Together:
    """Each model alone, then all at once, in turns."""
    alone, at_once, failures = [0.0] * len(served), [0.0] * len(served), 0
    with ThreadPoolExecutor(len(served)) as threads:
        for each in served:
            each.run(CLIENTS, seconds)
        for _ in range(rounds):
            single = [each.run(CLIENTS, seconds) for each in served]
            # Longer, so that a run has as many batches of each as it had alone.
            both = list(threads.map(lambda each: each.run(CLIENTS, seconds * len(served)), served))
            alone = [total + one.requests / one.seconds / rounds for total, one in zip(alone, single, strict=True)]
            at_once = [total + one.requests / one.seconds / rounds for total, one in zip(at_once, both, strict=True)]
            failures += sum(one.failures for one in (*single, *both))
    return Together(tuple(each.model for each in served), tuple(alone), tuple(at_once), failures)
