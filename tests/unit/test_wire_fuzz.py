"""Any request and any image is accepted or rejected with an error of the wire contract, and quickly."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detection.errors import DetectionError, InvalidOption, InvalidRequest
from detection.image import decode_image
from detection.options import BOUNDS, NAMES, Options
from detection.records import Task
from detection.wire.image_list import MAX_IMAGES
from detection.wire.native_document import encode_error
from detection.wire.native_image import NativeImage
from detection.wire.parsed_request import ParsedRequest
from detection.wire.served_model import ServedModel
from support import hostile_pictures
from support.hostile_pictures import noise, saved

MODEL = ServedModel("yolov5s", "1.0", ("person", "bus", "traffic light, red"), Options())
MAX_SECONDS = 10.0  # a hundred times the slowest case
MAX_MESSAGE = 1000  # characters

# Not random: every run has the same cases, so a failure can be repeated.
repeatable = settings(derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))

text = st.text(st.characters(exclude_categories=()), max_size=20)  # lone surrogates too
numbers = st.integers() | st.floats() | st.integers(10**300, 10**320)
picture = st.sampled_from([base64.b64encode(saved(noise())).decode(), "", "###", "data:image/png;base64,AAAA"])
plain = st.none() | st.booleans() | numbers | text | picture
values = st.recursive(plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=3))
keys = st.sampled_from([*NAMES, "image", "images", "instances", "parameters", "model", "b64", "body", "data"]) | text
documents = st.dictionaries(keys, values, max_size=6) | st.dictionaries(
    st.sampled_from(["images", "instances"]), values
)
fields = st.dictionaries(keys, st.binary(max_size=30) | text, max_size=4)


def parse(row: dict[str, Any]) -> ParsedRequest:
    return ParsedRequest.parse(row, {}, MODEL)


def require_contract(row: dict[str, Any]) -> None:
    """`row` is parsed into valid tasks, or rejected with an error that can be sent."""
    request = parse(row)
    if request.error is not None:
        assert isinstance(request.error, DetectionError), request.error
        require_sendable(request.error)
        return
    assert 1 <= len(request.entries) <= (1 if isinstance(request.form, NativeImage) else MAX_IMAGES)
    for entry in request.entries:
        if isinstance(entry, Task):
            require_valid(entry)
        else:
            require_sendable(entry)


def require_valid(task: Task) -> None:
    assert isinstance(task.data, (bytes, bytearray))
    for name, (low, high) in BOUNDS.items():
        assert low <= getattr(task.options, name) <= high
    assert isinstance(task.options.agnostic, bool)
    assert isinstance(task.options.multi_label, bool)
    assert task.options.classes is None or set(task.options.classes) <= {0, 1, 2}


def require_sendable(error: DetectionError) -> None:
    response = encode_error(error)
    assert 400 <= response.status < 500
    assert set(json.loads(response.body.encode("utf-8"))) == {"code", "type", "message"}
    assert len(str(error)) < MAX_MESSAGE


@settings(repeatable, max_examples=1500)
@given(documents, fields)
def test_any_json_is_parsed_or_rejected(document: dict[str, Any], query: dict[str, Any]) -> None:
    require_contract({**query, "body": json.dumps(document).encode("utf-8", "surrogatepass")})


@settings(repeatable, max_examples=500)
@given(st.binary(max_size=200), fields)
def test_any_body_is_parsed_or_rejected(body: bytes, query: dict[str, Any]) -> None:
    for start in (b"", b"{", b'{"image": "', b"[", b" \n{"):
        require_contract({**query, "body": bytearray(start + body)})


@settings(repeatable, max_examples=500)
@given(fields)
def test_any_form_is_parsed_or_rejected(row: dict[str, Any]) -> None:
    require_contract(row)
    require_contract({**row, "image": b"\xff\xd8\xff"})


@pytest.mark.parametrize("parameters", [[], "", 0, False])
def test_empty_values_are_no_parameters(parameters: object) -> None:
    error = parse({"body": {"instances": ["AAAA"], "parameters": parameters}}).error
    assert type(error) is InvalidRequest
    assert "`parameters` is" in str(error)


def test_the_query_of_invocations_names_this_model_and_no_version() -> None:
    assert parse({"body": b"x", "model_name": b"yolov5s"}).tasks
    other_model = parse({"body": b"x", "model_name": bytearray(b"yolov5m")}).error
    assert type(other_model) is InvalidRequest
    assert "asks for model 'yolov5m'" in str(other_model)
    version = parse({"body": b"x", "model_version": b"2.0"}).error
    assert type(version) is InvalidOption
    assert "'model_version'" in str(version)


SEEDS = [
    saved(noise(), "JPEG", 6),
    saved(noise(), "JPEG", progressive=True),
    saved(noise().convert("CMYK")),
    saved(noise(), "MPO", save_all=True, append_images=[noise(seed=1)]),
    saved(noise(), "PNG", 8),
    saved(noise().convert("P"), "PNG"),
    saved(noise(), "WEBP", 3),
    saved(noise(), "WEBP", save_all=True, append_images=[noise(seed=1)]),
    saved(noise(), "TIFF", 5, compression="tiff_lzw"),
    saved(noise(), "TIFF", compression="jpeg"),
    saved(noise().convert("1"), "TIFF", compression="group4"),
    saved(noise(), "BMP"),
    saved(noise(), "GIF", save_all=True, append_images=[noise(seed=1)]),
    hostile_pictures.bmp((30, 20), bits=8, compression=1, data=b"\x1e\x05" * 20),
    hostile_pictures.tiled_tiff((16, 16), tile_wh=(16, 16)),
    hostile_pictures.jpeg((64, 64)),
]
# Position, whether bytes are replaced (=), inserted (+) or dropped (-), and the bytes.
edits = st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from("=+-"), st.binary(min_size=1, max_size=8))


def edited(data: bytes, changes: list[tuple[float, str, bytes]]) -> bytes:
    for place, kind, new in changes:
        # Cubed: most edits hit the header, which steers the decoder.
        position = int(place**3 * len(data))
        data = data[:position] + (b"" if kind == "-" else new) + data[position + (0 if kind == "+" else len(new)) :]
    return data


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(repeatable, max_examples=4000)
@given(st.sampled_from(SEEDS), st.lists(edits, max_size=4))
def test_any_damage_to_a_picture_is_decoded_or_rejected(data: bytes, changes: list[tuple[float, str, bytes]]) -> None:
    started = time.perf_counter()
    try:
        pixels = decode_image(edited(data, changes), max_pixels=1_000_000)
    except DetectionError as error:
        require_sendable(error)
    else:
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3
        assert pixels.shape[2] == 3
        assert 1 <= pixels.shape[0] * pixels.shape[1] <= 1_000_000
        assert pixels.flags["C_CONTIGUOUS"]
    assert time.perf_counter() - started < MAX_SECONDS
