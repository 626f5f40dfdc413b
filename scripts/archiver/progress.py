"""The progress bar of a download."""

import time
from typing import TextIO

_WIDTH = 30  # characters
_INTERVAL_SECONDS = 0.1


class ProgressBar:
    """One line that is redrawn at most ten times a second. It prints nothing if the stream is not a terminal."""

    def __init__(self, label: str, total: int, stream: TextIO) -> None:
        self._label, self._total, self._stream = label, total, stream
        self._visible = stream.isatty()
        self._next_draw = 0.0

    def update(self, done: int) -> None:
        """Show that `done` bytes of the total were received."""
        now = time.monotonic()
        if not self._visible or (now < self._next_draw and done < self._total):
            return
        self._next_draw = now + _INTERVAL_SECONDS
        filled = _WIDTH * done // self._total
        bar = "#" * filled + "." * (_WIDTH - filled)
        self._stream.write(f"\r{self._label} [{bar}] {done / 1e6:.1f} of {self._total / 1e6:.1f} MB")
        self._stream.flush()

    def close(self) -> None:
        """End the line."""
        if self._visible:
            self._stream.write("\n")
            self._stream.flush()
