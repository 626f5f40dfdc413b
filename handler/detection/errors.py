"""The errors a client can cause, each with a stable type and an HTTP status."""

from __future__ import annotations


class DetectionError(Exception):
    """A request that cannot be answered. Its message goes to the client as it is."""

    status = 500
    reason = "Internal Server Error"

    @property
    def type(self) -> str:
        """The name that the wire contract uses for this error."""
        return type(self).__name__


class InvalidRequest(DetectionError):
    """The body is none of the forms of the wire contract."""

    status = 400
    reason = "Bad Request"


class InvalidOption(InvalidRequest):
    """An option is unknown, of the wrong kind or out of its range."""


class ImageTooLarge(DetectionError):
    """More pixels than the service decodes; found before decoding."""

    status = 413
    reason = "Payload Too Large"


class UnsupportedImage(DetectionError):
    """Not a picture, or one of a format that the service does not read."""

    status = 415
    reason = "Unsupported Media Type"


class InvalidImage(DetectionError):
    """A picture of a known format whose bytes are damaged or incomplete."""

    status = 422
    reason = "Unprocessable Entity"
