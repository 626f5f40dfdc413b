"""Error responses of TorchServe and of the handler, translated into the client's errors. Nothing else reads them."""

from __future__ import annotations

from collections.abc import Mapping

from service.errors import Busy, ErrorKind, Failed, InvalidToken, Refused, ServiceError

KIND_OF_TYPE: Mapping[str, ErrorKind] = {
    "InvalidImage": ErrorKind.INVALID_IMAGE,
    "UnsupportedImage": ErrorKind.UNSUPPORTED_IMAGE,
    "ImageTooLarge": ErrorKind.IMAGE_TOO_LARGE,
    "InvalidOption": ErrorKind.INVALID_OPTION,
    "InvalidRequest": ErrorKind.INVALID_OPTION,
    "MethodNotAllowedException": ErrorKind.REGISTRATION_OFF,
    "ConflictStatusException": ErrorKind.VERSION_CONFLICT,
    "InvalidModelVersionException": ErrorKind.DEFAULT_VERSION,
}
KIND_OF_STATUS: Mapping[int, ErrorKind] = {404: ErrorKind.MODEL_NOT_FOUND, 413: ErrorKind.BODY_TOO_LARGE}
TOKEN_REFUSED_TYPE = "InvalidKeyException"  # noqa: S105 (the name of an error)
# TorchServe has no type of their own for these two: only the message tells them apart.
WORKERS_NOT_STARTED_MESSAGE = "Failed to start workers"
ARCHIVE_NOT_FOUND_MESSAGE = "Model not found at"


def error_of_response(status: int, type: str, message: str) -> ServiceError:
    """The error that a response with this status (300 or more) stands for; `type` and `message` are of its body."""
    if status == 503:
        return Busy(message, status, type)
    if status >= 500:
        started = not message.startswith(WORKERS_NOT_STARTED_MESSAGE)
        kind = ErrorKind.WORKER_FAILED if started else ErrorKind.WORKERS_NOT_STARTED
        return Failed(message, status, type, kind)
    if type == TOKEN_REFUSED_TYPE:
        return InvalidToken(message, status, type)
    if status == 404 and message.startswith(ARCHIVE_NOT_FOUND_MESSAGE):
        return Refused(message, status, type, ErrorKind.ARCHIVE_NOT_FOUND)
    return Refused(message, status, type, KIND_OF_TYPE.get(type) or KIND_OF_STATUS.get(status))
