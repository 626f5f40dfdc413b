"""Progress messages for a person, few enough for a log."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import TypeVar

FIRST_MESSAGE_SECONDS = 1.0  # shorter work shows no message
TERMINAL_MESSAGE_SECONDS = 0.2
LOG_MESSAGE_SECONDS = 10.0  # between two messages if the output is no terminal
Result = TypeVar("Result")


class Progress:
    """One line on standard error: what the program waits for, and since when."""

    def __init__(self) -> None:
        self._started = self._last = time.monotonic()
        self._is_shown = False

    def __call__(self, text: str) -> None:
        """Show `text`. The number of calls is unlimited: most of them print nothing."""
        now = time.monotonic()
        terminal = sys.stderr.isatty()
        pause = TERMINAL_MESSAGE_SECONDS if terminal else LOG_MESSAGE_SECONDS
        if now - self._started < FIRST_MESSAGE_SECONDS or now - self._last < pause:
            return
        self._last, self._is_shown = now, True
        line = f"  {text} ({now - self._started:.0f} s)"
        print(f"\r{line:<79}" if terminal else line, end="" if terminal else "\n", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Remove the line from a terminal, so that other output can follow."""
        if self._is_shown and sys.stderr.isatty():
            print(f"\r{'':<79}\r", end="", file=sys.stderr, flush=True)


def run_with_progress(text: str, work: Callable[[], Result]) -> Result:
    """The result of `work`; `text` is shown while it runs."""
    progress, finished = Progress(), threading.Event()

    def show() -> None:
        while not finished.wait(TERMINAL_MESSAGE_SECONDS):
            progress(text)

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        return work()
    finally:
        finished.set()
        thread.join()
        progress.clear()
