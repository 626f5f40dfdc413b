"""The number of workers of a model. This module needs only the standard library: scripts/capacity imports it, too."""

from __future__ import annotations

import math

BATCH_SIZE = 4  # as in model-config.yaml: a worker uses up to one core per picture of a batch


def default_workers(cores: int) -> int:
    """The number of workers that keeps the cores busy, plus one that receives its batch meanwhile."""
    return math.ceil(cores / BATCH_SIZE) + 1
