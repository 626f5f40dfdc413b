"""Requests for the fuzz test. Each is generated from its seed alone, so that a failing one can be repeated."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any
from urllib.parse import urlencode

from detection.options import NAMES
from support.fuzz.pictures import damaged, expensive, invalid, truncated, valid
from support.fuzz.values import CONTENT_TYPES, KEYS, UNUSUAL_VALUES

CONTRACT_STATUSES = frozenset({200, 400, 413, 415, 422})
FORM_ERROR = frozenset({500})  # of TorchServe's form parser, before the request reaches the model
BOUNDARY = "----fuzz"
SMALL_IMAGE_SIZE = {"image_size": "32"}  # keeps inference short


@dataclass(frozen=True)
class Case:
    """One request, and the statuses that its response may have."""

    description: str
    path: str
    body: bytes
    content_type: str | None = None
    statuses: frozenset[int] = CONTRACT_STATUSES


Generator = Callable[[Random, str], Case]
valid_pictures = cache(valid)
invalid_pictures = cache(invalid)


def case_of(seed: int, model: str) -> Case:
    """The case of a seed."""
    random = Random(seed)
    return GENERATORS[seed % len(GENERATORS)](random, model)


def fixed_cases(model: str) -> Iterator[Case]:
    """Every special picture in every form of request, with the expected status."""
    pictures = {name: (data, 200) for name, data in valid_pictures().items()} | invalid_pictures()
    for name, (data, status) in pictures.items():
        expected = frozenset({status})
        yield Case(f"{name}, plain", invocation(model, **SMALL_IMAGE_SIZE), data, None, expected)
        yield Case(f"{name}, typed", f"/predictions/{model}", data, "image/jpeg", expected)
        yield Case(f"{name}, in a form", f"/predictions/{model}", *form({"image": data, **SMALL_IMAGE_SIZE}), expected)
        document = {"image": to_base64(data), "image_size": 32}
        yield Case(f"{name}, as text", f"/predictions/{model}", to_json(document), "application/json", expected)
    everything = {"instances": [to_base64(data) for data, _ in pictures.values()], "parameters": {"image_size": 32}}
    yield Case("all at once", f"/v1/models/{model}:predict", to_json(everything), None, frozenset({200}))
    for name, data in expensive().items():
        yield Case(name, invocation(model, **SMALL_IMAGE_SIZE), data)


def invocation(model: str, **query: str) -> str:
    return f"/invocations?{urlencode({'model_name': model, **query})}"


def to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def to_json(document: object) -> bytes:
    return json.dumps(document).encode()


def form(fields: dict[str, bytes | str]) -> tuple[bytes, str]:
    """The body and the content type of a valid multipart form."""
    return b"".join(form_part(name, value) for name, value in fields.items()) + form_end(), form_content_type()


def form_part(name: str, value: bytes | str, more: str = "") -> bytes:
    content = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + content + b"\r\n"


def form_end() -> bytes:
    return f"--{BOUNDARY}--\r\n".encode()


def form_content_type() -> str:
    return f"multipart/form-data; boundary={BOUNDARY}"


def random_picture(random: Random) -> tuple[str, bytes]:
    """A description and its picture; mostly a valid one, because damage to those tests most."""
    if random.random() < 0.85:
        return random.choice(list(valid_pictures().items()))
    name, (data, _) = random.choice(list(invalid_pictures().items()))
    return name, data


def truncated_picture(random: Random, model: str) -> Case:
    name, data = random_picture(random)
    data = truncated(random, data)
    return Case(f"{name}, cut after {len(data)} bytes", invocation(model, **SMALL_IMAGE_SIZE), data, "image/jpeg")


def damaged_picture(random: Random, model: str) -> Case:
    name, data = random_picture(random)
    return Case(
        f"{name}, damaged", invocation(model, **SMALL_IMAGE_SIZE), damaged(random, data), "application/octet-stream"
    )


def damaged_text(random: Random, model: str) -> Case:
    """A picture as base64 text, with or without an error."""
    name, data = random_picture(random)
    text = to_base64(data)[:20_000]
    place = random.randrange(len(text) + 1)
    text = text[:place] + random.choice(["", "=", "\n", " ", "*", "\u00e9", "\ud800", "\\", "-_", "AAA"]) + text[place:]
    start = random.choice(
        ["", "", "data:image/png;base64,", "data:;base64,", "data:image/png,", "data:a/b;c=d;base64,", "http://x/"]
    )
    document = {"image": start + text, "image_size": 32}
    return Case(
        f"{name}, text with an error at {place}", f"/predictions/{model}", to_json(document), "application/json"
    )


def unusual_options(random: Random, model: str) -> Case:
    """Options in a JSON body, in a form or in a query, most of them invalid."""
    chosen = {
        random.choice(KEYS[: len(NAMES) + 2]): random.choice(UNUSUAL_VALUES) for _ in range(random.randrange(1, 4))
    }
    data = valid_pictures()["PNG"]
    way = random.randrange(3)
    if way == 0:
        body = to_json({"image": to_base64(data), "image_size": 32, **chosen})
        return Case(f"JSON with {chosen!r:.200}", f"/predictions/{model}", body, "application/json")
    texts = {name: str(value)[:1000] for name, value in chosen.items() if name}
    if way == 1:
        body, content_type = form({"image": data, **SMALL_IMAGE_SIZE, **texts})
        return Case(f"form with {texts!r:.200}", f"/predictions/{model}", body, content_type)
    query = urlencode({"model_name": model, **SMALL_IMAGE_SIZE, **texts}, errors="replace")
    return Case(f"query with {texts!r:.200}", f"/invocations?{query}", data, "image/png")


def random_value(random: Random, depth: int = 0) -> Any:
    """A JSON value of any shape."""
    kind = random.randrange(4 if depth < 5 else 2)
    if kind < 2:
        return random.choice(UNUSUAL_VALUES)
    if kind == 2:
        return [random_value(random, depth + 1) for _ in range(random.randrange(5))]
    return {random.choice(KEYS): random_value(random, depth + 1) for _ in range(random.randrange(4))}


def json_of_any_shape(random: Random, model: str) -> Case:
    document = {random.choice(KEYS): random_value(random) for _ in range(random.randrange(4))}
    path = random.choice(
        [f"/predictions/{model}", invocation(model, **SMALL_IMAGE_SIZE), f"/v1/models/{model}:predict"]
    )
    return Case(f"JSON {document!r:.200}", path, to_json(document), random.choice(["application/json", None]))


def broken_json(random: Random, model: str) -> Case:
    """Text that is nearly JSON: too deep, too wide, with a repeated key, not UTF-8, or with changed bytes."""
    picture = to_base64(valid_pictures()["PNG"])
    count = random.choice([10, 1000, 100_000])
    bodies: dict[str, bytes] = {
        "deep objects": b'{"a":' * count,
        "deep lists": b"[" * count,
        "deep and closed": b'{"image":' + b"[" * count + b"]" * count + b"}",
        "wide": to_json({**{str(number): number for number in range(min(count, 20_000))}, "image": picture}),
        "twice the same key": f'{{"image": "{picture}", "image": {random.randrange(9)}}}'.encode(),
        "a number of many digits": b'{"confidence": ' + b"9" * count + b"}",
        "no number": b'{"image": "", "iou": ' + random.choice([b"NaN", b"-Infinity", b"1e999", b"01", b".5"]) + b"}",
        "not UTF-8": b'{"image": "\xff\xfe' + random.randbytes(8) + b'"}',
        "UTF-16": json.dumps({"image": picture}).encode(random.choice(["utf-16", "utf-16-le", "utf-32"])),
        "with a byte order mark": b"\xef\xbb\xbf" + to_json({"image": picture}),
        "lone surrogates": b'{"\\ud800": "\\udfff", "image": "\\udc00"}',
        "changed": damaged(random, to_json({"image": picture, "image_size": 32, "classes": [0], "confidence": 0.5})),
        "two documents": to_json({"image": picture}) * 2,
        "a comment": b"{/* image */}",
    }  # fmt: skip
    name = random.choice(list(bodies))
    return Case(f"JSON: {name} ({count})", f"/predictions/{model}", bodies[name], "application/json")


def unusual_content_type(random: Random, model: str) -> Case:
    name, data = random_picture(random)
    content_type = random.choice(CONTENT_TYPES)
    body = random.choice([data, to_json({"image": to_base64(data), "image_size": 32}), b"", random.randbytes(30)])
    path = random.choice([f"/predictions/{model}", invocation(model, **SMALL_IMAGE_SIZE)])
    return Case(f"{name} of {len(body)} bytes as {content_type!r}", path, body, content_type)


def unusual_form(random: Random, model: str) -> Case:
    """A form with missing, repeated, unknown, nested, truncated or changed parts."""
    data = random_picture(random)[1][:5000]
    name = random.choice(KEYS[1:-2])
    parts = [
        form_part("image", data), form_part("image", data, '; filename="a.png"\r\nContent-Type: image/png'),
        form_part("image", b"", '; filename=""'), form_part("image", data, "\r\nContent-Transfer-Encoding: base64"),
        form_part("image", to_base64(data)), form_part("image_size", "32"),
        form_part(name, str(random.choice(UNUSUAL_VALUES))[:500]), form_part(name, random.randbytes(9)),
    ]  # fmt: skip
    body = b"".join(random.choices(parts, k=random.randrange(5))) + form_end()
    ways = ["whole", "whole", "truncated", "changed", "with a preamble", "with a trailer"]
    way = random.choice(ways)
    if way == "truncated":
        body = body[: random.randrange(len(body))]
    elif way == "changed":
        body = damaged(random, body)
    else:
        body = {"whole": b"", "with a preamble": b"preamble\r\n", "with a trailer": b""}[way] + body
        body += b"trailer" if way == "with a trailer" else b""
    statuses = CONTRACT_STATUSES | FORM_ERROR if way in ("truncated", "changed") else CONTRACT_STATUSES
    return Case(f"form of {len(body)} bytes, {way}", f"/predictions/{model}", body, form_content_type(), statuses)


def unusual_v1_request(random: Random, model: str) -> Case:
    picture = to_base64(random_picture(random)[1])[: random.choice([10**6, 50])]
    items = [
        picture,
        {"b64": picture},
        {"image": picture},
        {"image": {"b64": picture}},
        {"b64": {"image": picture}},
        *UNUSUAL_VALUES,
    ]
    instances: Any = random.choices(items, k=random.choice([0, 1, 2, 3, 65]))
    if random.random() < 0.2:
        instances = random.choice(UNUSUAL_VALUES)
    document = {"instances": instances, "parameters": random.choice([{"image_size": 32}, *UNUSUAL_VALUES])}
    if random.random() < 0.2:
        document[random.choice(KEYS)] = random.choice(UNUSUAL_VALUES)
    return Case(f"v1 {document!r:.200}", f"/v1/models/{model}:predict", to_json(document), "application/json")


def list_of_pictures(random: Random, model: str) -> Case:
    names, data = zip(*(random_picture(random) for _ in range(random.randrange(1, 6))), strict=True)
    images = [
        to_base64(random.choice([picture, truncated(random, picture), damaged(random, picture)])) for picture in data
    ]
    body = to_json({"images": images, "image_size": 32})
    return Case(f"list of {names}", f"/predictions/{model}", body, "application/json", frozenset({200}))


GENERATORS: tuple[Generator, ...] = (
    truncated_picture, truncated_picture, damaged_picture, damaged_picture, damaged_picture, damaged_text,
    unusual_options, unusual_options, json_of_any_shape, broken_json, unusual_content_type, unusual_form,
    unusual_v1_request, list_of_pictures,
)  # fmt: skip
