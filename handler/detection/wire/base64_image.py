"""Images as base64 text."""

from __future__ import annotations

import base64
import binascii
import re

from ..errors import InvalidRequest, quoted

DATA_URL = re.compile(r"data:[\w.+-]+/[\w.+-]+(;[\w.+-]+=[\w.+-]+)*;base64,", re.ASCII)


def decode_base64(text: object, key: str) -> bytes:
    """The bytes of a base64 text or a data: URL; white space is ignored. `key` names the text in InvalidRequest."""
    if not isinstance(text, str):
        raise InvalidRequest(f"`{key}` is {quoted(text)}; expected the picture as base64 text")
    prefix = DATA_URL.match(text)
    try:
        return base64.b64decode("".join(text[prefix.end() if prefix else 0 :].split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(f"`{key}` is not base64: {error}") from None
