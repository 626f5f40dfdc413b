"""A request as TorchServe passes it on, before its form is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from .json_body import parse_json_body


@dataclass(frozen=True)
class WireRequest:
    """The body, the fields of a multipart form or of the query, and the HTTP headers.

    body: bytes, or a JSON value that TorchServe parsed already; None for a multipart form. model_name: the parameter
    of /invocations that TorchServe itself reads; None if it is missing.
    """

    body: object
    fields: Mapping[str, object]
    headers: Mapping[str, str]
    model_name: object = None

    @classmethod
    def from_row(cls, row: Mapping[str, object], headers: Mapping[str, str]) -> WireRequest:
        """The request in one row of a batch."""
        fields = dict(row)
        body, model_name = fields.pop("body", None), fields.pop("model_name", None)
        return cls(body, fields, headers, model_name)

    @cached_property
    def document(self) -> dict[str, object] | None:
        """The JSON object in the body, None if the body is not JSON. Raises InvalidRequest if it is broken JSON."""
        return None if self.body is None else parse_json_body(self.body)

    @property
    def values(self) -> dict[str, object]:
        """A new dict of the fields and of the JSON object's keys. A key replaces a field of the same name."""
        return dict(self.fields) if self.document is None else {**self.fields, **self.document}
