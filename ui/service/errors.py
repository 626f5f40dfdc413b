"""What can go wrong between a client and the service."""

from __future__ import annotations


class ServiceError(Exception):
    """The service did not do what was asked. `status` is 0 where it did not answer; `kind` is the error's type."""

    def __init__(self, message: str, status: int = 0, kind: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


class Unreachable(ServiceError):
    """Nothing answers at the address, or what was there went away."""


class TimedOut(Unreachable):
    """The service took the request and did not answer in time."""


class Busy(ServiceError):
    """The service answers 503: its queue is full or a worker is away. Trying again later may work."""


class Failed(ServiceError):
    """The service failed at this request (another 5xx): a worker died, for one. It may or may not do so again."""


class Refused(ServiceError):
    """The service refuses this request (4xx); trying again will not help."""


class InvalidToken(Refused):
    """No token, a wrong or an expired one."""
