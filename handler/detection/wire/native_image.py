"""The native form of one image: its bytes, a multipart form, or JSON with `image`. The response is one document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import InvalidRequest, quoted
from ..records import Detections, Task
from .base64_image import decode_base64
from .native_document import detections_document, encode_error
from .request import WireRequest
from .response import Response, to_json
from .served_model import ServedModel


@dataclass(frozen=True)
class NativeImage:
    """See WireForm. Options are the other fields of the multipart form or the query, and the other keys of the JSON."""

    model: ServedModel
    request: WireRequest

    @staticmethod
    def accepts(request: WireRequest) -> bool:  # noqa: ARG004
        """True: a request that no other form accepts is one of this form, right or wrong."""
        return True

    def parse(self) -> tuple[Task]:
        """The task. Raises InvalidRequest or InvalidOption."""
        body = self.request.body
        if body is None:
            return (self._parse_multipart_form(),)
        if self.request.document is not None:
            return (self._parse_document(),)
        data = body if isinstance(body, (bytes, bytearray)) else str(body).encode("utf-8", "surrogatepass")
        return (Task(data, self.model.parse_options(self.request.fields)),)

    def encode(self, results: Sequence[Detections | Exception]) -> Response:
        """The document of the image, or the response for its error."""
        [result] = results
        if isinstance(result, Exception):
            return encode_error(result)
        return Response(to_json(detections_document(self.model, result)))

    def encode_error(self, error: Exception) -> Response:
        """The native error."""
        return encode_error(error)

    def _parse_multipart_form(self) -> Task:
        fields = dict(self.request.fields)
        image = fields.pop("image", None)
        if not isinstance(image, (bytes, bytearray)):
            names = ", ".join(quoted(name) for name in fields) or "none"
            raise InvalidRequest(
                f"no image in the request (fields: {names}); send the picture's bytes as the body, a form with the "
                'file field `image`, or JSON {"image": "<base64>"} with Content-Type: application/json'
            )
        return Task(image, self.model.parse_options(fields))

    def _parse_document(self) -> Task:
        values = self.request.values
        self.model.require_name(values.pop("model", self.model.name))
        if ("image" in values) == ("images" in values):
            raise InvalidRequest("the JSON body needs either `image` (base64 text) or `images` (a list of them)")
        data = decode_base64(values.pop("image"), "image")
        return Task(data, self.model.parse_options(values))
