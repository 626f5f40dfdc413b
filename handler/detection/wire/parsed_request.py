"""A request from its bytes to its response."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..errors import DetectionError
from ..records import Detections, Task
from .forms import choose_form
from .native_image import NativeImage
from .request import WireRequest
from .response import Response
from .served_model import ServedModel
from .wire_form import WireForm


@dataclass(frozen=True)
class ParsedRequest:
    """The form of a request and one entry per image: its task, or its error.

    error: what is wrong with the request as a whole; there are no entries then.
    """

    form: WireForm
    entries: tuple[Task | DetectionError, ...]
    error: Exception | None = None

    @classmethod
    def parse(cls, row: Mapping[str, object], headers: Mapping[str, str], model: ServedModel) -> ParsedRequest:
        """Parse one row of a batch. Never raises, so that one request cannot fail the others."""
        request = WireRequest.from_row(row, headers)
        form: WireForm = NativeImage(model, request)  # encodes errors until the form is known
        try:
            form = choose_form(request, model)
            return cls(form, form.parse())
        except Exception as error:
            return cls(form, (), error)

    @property
    def tasks(self) -> list[Task]:
        """The tasks for the detector."""
        return [entry for entry in self.entries if isinstance(entry, Task)]

    def respond(self, results: Iterator[Detections | Exception]) -> Response:
        """The response. Takes one result per task from `results`."""
        if self.error is not None:
            return self.form.encode_error(self.error)
        return self.form.encode([next(results) if isinstance(entry, Task) else entry for entry in self.entries])
