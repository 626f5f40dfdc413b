"""Telling a person that something is going on, without filling a log with it."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import TypeVar

QUIET_SECONDS = 1.0  # what is done by then needs no word
LOG_SECONDS = 10.0  # between two words where the output is no terminal
T = TypeVar("T")


class Progress:
    """One line on standard error that says what is being waited for, and for how long."""

    def __init__(self) -> None:
        self._started = self._last = time.monotonic()
        self._shown = False

    def __call__(self, text: str) -> None:
        """Show `text`; may be called as often as one likes."""
        now = time.monotonic()
        terminal = sys.stderr.isatty()
        if now - self._started < QUIET_SECONDS or now - self._last < (0.2 if terminal else LOG_SECONDS):
            return
        self._last, self._shown = now, True
        line = f"  {text} ({now - self._started:.0f} s)"
        print(f"\r{line:<79}" if terminal else line, end="" if terminal else "\n", file=sys.stderr, flush=True)

    def done(self) -> None:
        """Wipe the line, for what is printed next."""
        if self._shown and sys.stderr.isatty():
            print(f"\r{'':<79}\r", end="", file=sys.stderr, flush=True)


def shown(text: str, work: Callable[[], T]) -> T:
    """The result of `work`, with `text` shown while it goes on."""
    progress, finished = Progress(), threading.Event()

    def show() -> None:
        while not finished.wait(0.2):
            progress(text)

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        return work()
    finally:
        finished.set()
        thread.join()
        progress.done()
