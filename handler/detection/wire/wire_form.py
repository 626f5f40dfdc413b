"""The interface of a wire form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..errors import DetectionError
from ..records import Detections, Task
from .request import WireRequest
from .response import Response
from .served_model import ServedModel


class WireForm(Protocol):
    """One form of request and response. Each request gets an instance, so `encode` can read the request too."""

    def __init__(self, model: ServedModel, request: WireRequest) -> None: ...

    @staticmethod
    def accepts(request: WireRequest) -> bool:
        """Whether the request has this form."""
        ...

    def parse(self) -> tuple[Task | DetectionError, ...]:
        """One task per image, in order; an error in place of an image that is wrong.

        Raises DetectionError if the request as a whole is wrong.
        """
        ...

    def encode(self, results: Sequence[Detections | Exception]) -> Response:
        """The response to a request whose images gave these results, in the order of `parse`."""
        ...

    def encode_error(self, error: Exception) -> Response:
        """The response to a request that is wrong as a whole."""
        ...
