"""The operator's password, which permits changes of the server from the page."""

from __future__ import annotations

import hmac
import math
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

FIRST_DELAY_SECONDS = 1.0  # after the first wrong password, doubled with each further one
MAX_DELAY_SECONDS = 60.0


class NotPermitted(Exception):
    """An action for operators was requested by another visitor."""


class WrongPassword(NotPermitted):
    """The password was wrong, or came too soon after a wrong one. `delay`: seconds until the next one is checked."""

    def __init__(self, message: str, delay: float) -> None:
        super().__init__(message)
        self.delay = delay


@dataclass(frozen=True)
class Permit:
    """The proof of a correct password, valid at the gate that issued it until the gate is locked with it."""

    secret: str = field(repr=False)


class Gate:
    """Compares passwords in constant time, and after a wrong one checks no other for a while.

    There must be one for the whole process, so that opening new sessions does not speed up guessing.
    """

    def __init__(self, password: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._password = password.encode() if password else None
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._closed_until = 0.0
        self._issued: set[str] = set()

    @property
    def exists(self) -> bool:
        """Whether a password is configured. Without one there are no operators."""
        return self._password is not None

    def unlock(self, password: str) -> Permit:
        """A permit for the correct password. Raises WrongPassword, or NotPermitted if none is configured."""
        if self._password is None:
            raise NotPermitted("operator actions are off: no operator password is configured")
        with self._lock:
            now = self._clock()
            if now < self._closed_until:
                wait = self._closed_until - now
                raise WrongPassword(f"after a wrong password the next one is accepted in {math.ceil(wait)} s", wait)
            if not hmac.compare_digest(password.encode(), self._password):
                delay = min(FIRST_DELAY_SECONDS * 2.0 ** min(self._failures, 30), MAX_DELAY_SECONDS)
                self._failures += 1
                self._closed_until = now + delay
                raise WrongPassword(f"this is not the operator's password; try again in {delay:.0f} s", delay)
            self._failures = 0
            permit = Permit(secrets.token_urlsafe())
            self._issued.add(permit.secret)
            return permit

    def require(self, permit: object) -> None:
        """Raises NotPermitted for anything but a valid permit of this gate."""
        with self._lock:
            if not isinstance(permit, Permit) or permit.secret not in self._issued:
                raise NotPermitted("only an operator may do this: unlock with the operator's password first")

    def lock(self, permit: Permit) -> None:
        """Invalidate a permit."""
        with self._lock:
            self._issued.discard(permit.secret)
