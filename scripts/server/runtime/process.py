"""Processes that a later command finds again."""

from __future__ import annotations

from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Started:
    """A process that was started. `created` tells it from a later one with the same id."""

    pid: int
    created: float

    @classmethod
    def of(cls, pid: int) -> Started:
        """The running process with this id. Raises psutil.NoSuchProcess."""
        return cls(pid, psutil.Process(pid).create_time())

    def process(self) -> psutil.Process | None:
        """The process, or None when it is gone."""
        try:
            process = psutil.Process(self.pid)
            alive = process.create_time() == self.created and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return process if alive else None
