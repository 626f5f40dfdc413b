"""KServe's v1 protocol: JSON with `instances` and, as options, `parameters`. The response holds `predictions`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import DetectionError, InvalidRequest, quoted
from ..records import Detections, Task
from .image_list import parse_image_list
from .native_document import encode_error, result_document
from .request import WireRequest
from .response import Response, to_json
from .served_model import ServedModel


@dataclass(frozen=True)
class KServeV1:
    """See WireForm. The keys of the JSON object may also arrive as fields, without a body."""

    model: ServedModel
    request: WireRequest

    @staticmethod
    def accepts(request: WireRequest) -> bool:
        """Whether the JSON object has `instances`."""
        if request.body is None:
            return "instances" in request.fields
        return request.document is not None and "instances" in request.document

    def parse(self) -> tuple[Task | DetectionError, ...]:
        """A task or an error per instance. Raises InvalidRequest or InvalidOption."""
        values = self.request.values
        instances = values.pop("instances")
        parameters = values.pop("parameters", None)
        parameters = {} if parameters is None else parameters
        if values:
            raise InvalidRequest(f"unknown key {quoted(next(iter(values)))} beside `instances` and `parameters`")
        if not isinstance(parameters, dict):
            raise InvalidRequest(f"`parameters` is {quoted(parameters)}; expected an object of options")
        return parse_image_list(instances, "instances", self.model.parse_options(parameters))

    def encode(self, results: Sequence[Detections | Exception]) -> Response:
        """`predictions` with the document or the error of each instance, status 200."""
        return Response(to_json({"predictions": [result_document(self.model, result) for result in results]}))

    def encode_error(self, error: Exception) -> Response:
        """The native error."""
        return encode_error(error)
