"""Values that clients send by mistake or as an attack."""

from __future__ import annotations

from typing import Any

from detection.options import NAMES

UNUSUAL_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 31, 32, 33.5, 1e308, 10**400, -0.0, 0.5, 1e-320, float("nan"), float("inf"),
    "", " ", "0.5", " 0.5 ", "nan", "Infinity", "-inf", "1e-1", "0x10", "1_0", "\u0660.\u0665", "TRUE", "yes", "None",
    "\ud800", "\0", "a" * 5000, "person", "0", "0,1", ",", "-1",
    [], [[]], {}, {"b64": "AA=="}, [0, 0], ["0", None], [1e99], [{"a": 1}],
)  # fmt: skip
KEYS = (
    *NAMES, "image", "images", "instances", "parameters", "model", "model_name", "body", "data", "conf", "", "\ud800"
)  # fmt: skip
CONTENT_TYPES = (
    None, "", "image/jpeg", "image/png", "image/*", "application/octet-stream", "application/json", "text/plain",
    "application/json; charset=utf-16", "text/html; charset=nonsense", "video/mp4", "nonsense", "multipart/form-data",
    "multipart/mixed", "application/x-ndjson", "image/jpeg; q=\xe9", "/", ";", "application/json,image/png", "*/*",
)  # fmt: skip
