"""A started process that a later command can find again."""

from __future__ import annotations

from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class StartedProcess:
    """A process that was started. `created` distinguishes it from a later process with the same id."""

    pid: int
    created: float

    @classmethod
    def from_pid(cls, pid: int) -> StartedProcess:
        """The running process with this id. Raises psutil.NoSuchProcess."""
        return cls(pid, psutil.Process(pid).create_time())

    def process(self) -> psutil.Process | None:
        """The process, or None after its end."""
        try:
            process = psutil.Process(self.pid)
            alive = process.create_time() == self.created and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return process if alive else None
