"""A response before TorchServe sends it."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Response:
    """A body, an HTTP status with its reason phrase, and a content type."""

    body: str
    status: int = 200
    reason: str = "OK"
    content_type: str = "application/json"


def to_json(document: object) -> str:
    """Compact JSON text."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # A client's text may hold a lone surrogate, which has no UTF-8 form. Escaped, it is valid JSON.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
