"""The errors that a client can cause, each with a stable type and an HTTP status."""

from __future__ import annotations

MAX_QUOTED = 60  # characters


class DetectionError(Exception):
    """A request that cannot be answered. The client gets the message as it is."""

    status = 500
    reason = "Internal Server Error"

    @property
    def type(self) -> str:
        """The name of this error in responses."""
        return type(self).__name__


class InvalidRequest(DetectionError):
    """The body has none of the forms that the service accepts."""

    status = 400
    reason = "Bad Request"


class InvalidOption(InvalidRequest):
    """An option is unknown, of the wrong type or out of its range."""


class ImageTooLarge(DetectionError):
    """The image has more pixels than the service decodes; detected before decoding."""

    status = 413
    reason = "Payload Too Large"


class UnsupportedImage(DetectionError):
    """The data is no image, or one of a format that the service does not read."""

    status = 415
    reason = "Unsupported Media Type"


class InvalidImage(DetectionError):
    """The image has a known format, and its bytes are damaged or incomplete."""

    status = 422
    reason = "Unprocessable Entity"


def quoted(value: object) -> str:
    """A client's value for an error message: quoted, escaped, and shortened to MAX_QUOTED."""
    text = repr(value) if isinstance(value, (str, int, float, bool, type(None))) else type(value).__name__
    return text if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]}... ({len(text)} characters)"
