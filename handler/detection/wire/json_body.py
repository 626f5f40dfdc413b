"""JSON bodies."""

from __future__ import annotations

import json

from ..errors import InvalidRequest, quoted

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MAX_LEADING_BYTES = 64  # a byte order mark and white space before the first character
MAX_MESSAGE = 300  # characters


def parse_json_body(body: object) -> dict[str, object] | None:
    """The JSON object in a body, or None if the body is not JSON. Raises InvalidRequest if it is broken JSON.

    A body is JSON if it begins with { or [: no image format does.
    """
    if isinstance(body, (bytes, bytearray)):
        if body[:MAX_LEADING_BYTES].removeprefix(BYTE_ORDER_MARK).lstrip()[:1] not in (b"{", b"["):
            return None
        body = _parse(body)
    if isinstance(body, str):
        return None
    if not isinstance(body, dict):
        raise InvalidRequest(f"the JSON body is {quoted(body)}; expected an object")
    return body


def _parse(body: bytes | bytearray) -> object:
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except RecursionError:
        raise InvalidRequest("the JSON body is nested too deeply; expected an object of plain values") from None
    except ValueError as error:
        raise InvalidRequest(f"the body is not valid JSON: {error}"[:MAX_MESSAGE]) from None


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not a number of JSON")
