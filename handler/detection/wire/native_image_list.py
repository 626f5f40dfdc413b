"""The native form of several images: JSON with `images`. The response is a list of documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import DetectionError
from ..records import Detections, Task
from .image_list import parse_image_list
from .native_document import encode_error, result_document
from .request import WireRequest
from .response import Response, to_json
from .served_model import ServedModel


@dataclass(frozen=True)
class NativeImageList:
    """See WireForm. Options are the other keys of the JSON object and the fields of the query."""

    model: ServedModel
    request: WireRequest

    @staticmethod
    def accepts(request: WireRequest) -> bool:
        """Whether the body is a JSON object with `images` and without `image`."""
        return request.document is not None and "images" in request.values and "image" not in request.values

    def parse(self) -> tuple[Task | DetectionError, ...]:
        """A task or an error per image. Raises InvalidRequest or InvalidOption."""
        values = self.request.values
        self.model.require_name(values.pop("model", self.model.name))
        images = values.pop("images")
        return parse_image_list(images, "images", self.model.parse_options(values))

    def encode(self, results: Sequence[Detections | Exception]) -> Response:
        """A list with the document or the error of each image, status 200."""
        return Response(to_json([result_document(self.model, result) for result in results]))

    def encode_error(self, error: Exception) -> Response:
        """The native error."""
        return encode_error(error)
