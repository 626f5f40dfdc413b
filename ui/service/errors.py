"""The errors of the client. Each carries its kind, so that callers need not read its message."""

from __future__ import annotations

from enum import Enum, auto


class ErrorKind(Enum):
    """What went wrong, as exactly as the service tells."""

    UNREACHABLE = auto()  # no connection, or it broke off
    TIMED_OUT = auto()
    BUSY = auto()  # 503: the queue is full, or the model has no ready worker
    WORKER_FAILED = auto()  # another 5xx
    WORKERS_NOT_STARTED = auto()  # a version was registered or scaled, and its workers ended
    INVALID_ANSWER = auto()  # the body is not what this service sends
    TOKEN_MISSING = auto()  # the key file has no token
    TOKEN_REFUSED = auto()
    MODEL_NOT_FOUND = auto()
    ARCHIVE_NOT_FOUND = auto()
    BODY_TOO_LARGE = auto()
    INVALID_IMAGE = auto()
    UNSUPPORTED_IMAGE = auto()
    IMAGE_TOO_LARGE = auto()
    INVALID_OPTION = auto()
    REGISTRATION_OFF = auto()  # the server was started without the API that changes models
    VERSION_CONFLICT = auto()  # this version is registered already
    DEFAULT_VERSION = auto()  # the default version cannot be unregistered while there are others
    REFUSED = auto()  # another 4xx
    OTHER = auto()


class ServiceError(Exception):
    """The service did not do what was requested.

    `status` is the HTTP status, 0 without a response; `type` is the error's type in the response, such as InvalidImage.
    """

    default_kind = ErrorKind.OTHER

    def __init__(self, message: str, status: int = 0, type: str = "", kind: ErrorKind | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.type = type
        self.kind = kind or self.default_kind


class Unreachable(ServiceError):
    """No connection to the service, or the connection broke off."""

    default_kind = ErrorKind.UNREACHABLE


class TimedOut(Unreachable):
    """The service accepted the request and did not answer in time."""

    default_kind = ErrorKind.TIMED_OUT


class Busy(ServiceError):
    """The service answered 503: its queue is full or a worker is missing. A retry may succeed."""

    default_kind = ErrorKind.BUSY


class Failed(ServiceError):
    """The service failed (another 5xx, or an unreadable answer), for example because a worker died."""

    default_kind = ErrorKind.WORKER_FAILED


class Refused(ServiceError):
    """The service refused the request (4xx). A retry of the same request fails too."""

    default_kind = ErrorKind.REFUSED


class InvalidToken(Refused):
    """The token is missing, wrong or expired."""

    default_kind = ErrorKind.TOKEN_REFUSED
