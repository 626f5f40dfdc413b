"""One line on a terminal that says how far a download is."""

import time
from typing import TextIO

_WIDTH = 30
_INTERVAL = 0.1


class ProgressBar:
    """Redraws itself in place, ten times a second at most; on a stream that is no terminal it stays silent."""

    def __init__(self, label: str, total: int, stream: TextIO) -> None:
        self._label, self._total, self._stream = label, total, stream
        self._shown = stream.isatty()
        self._next_draw = 0.0

    def update(self, done: int) -> None:
        """Show that `done` bytes of the total have come."""
        now = time.monotonic()
        if not self._shown or (now < self._next_draw and done < self._total):
            return
        self._next_draw = now + _INTERVAL
        filled = _WIDTH * done // self._total
        bar = "#" * filled + "." * (_WIDTH - filled)
        self._stream.write(f"\r{self._label} [{bar}] {done / 1e6:.1f} of {self._total / 1e6:.1f} MB")
        self._stream.flush()

    def close(self) -> None:
        """End the line."""
        if self._shown:
            self._stream.write("\n")
            self._stream.flush()
