"""Requests for the fuzz test: each made from its seed alone, so that a failing one can be made again."""

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
from support.fuzz.pictures import cut, damaged, expensive, refused, sound
from support.fuzz.values import CONTENT_TYPES, KEYS, ODD

CONTRACT = frozenset({200, 400, 413, 415, 422})
FORM_FAULT = frozenset({500})  # TorchServe's form parser gives up with this before the model sees anything
BOUNDARY = "----fuzz"
SMALL = {"image_size": "32"}  # keeps inference cheap where the request may say so


@dataclass(frozen=True)
class Case:
    """One request, and the statuses that its answer may have."""

    description: str
    path: str
    body: bytes
    content_type: str | None = None
    statuses: frozenset[int] = CONTRACT


Maker = Callable[[Random, str], Case]
readable = cache(sound)
unreadable = cache(refused)


def case_of(seed: int, model: str) -> Case:
    """The case of a seed."""
    random = Random(seed)
    return MAKERS[seed % len(MAKERS)](random, model)


def fixed_cases(model: str) -> Iterator[Case]:
    """Every special picture in every form of request, and what becomes of it."""
    wanted = {name: (data, 200) for name, data in readable().items()} | unreadable()
    for name, (data, status) in wanted.items():
        expected = frozenset({status})
        yield Case(f"{name}, plain", invocation(model, **SMALL), data, None, expected)
        yield Case(f"{name}, typed", f"/predictions/{model}", data, "image/jpeg", expected)
        yield Case(f"{name}, in a form", f"/predictions/{model}", *form({"image": data, **SMALL}), expected)
        document = {"image": text_of(data), "image_size": 32}
        yield Case(f"{name}, as text", f"/predictions/{model}", to_json(document), "application/json", expected)
    everything = {"instances": [text_of(data) for data, _ in wanted.values()], "parameters": {"image_size": 32}}
    yield Case("all at once", f"/v1/models/{model}:predict", to_json(everything), None, frozenset({200}))
    for name, data in expensive().items():
        yield Case(name, invocation(model, **SMALL), data)


def invocation(model: str, **query: str) -> str:
    return f"/invocations?{urlencode({'model_name': model, **query})}"


def text_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def to_json(document: object) -> bytes:
    return json.dumps(document).encode()


def form(fields: dict[str, bytes | str]) -> tuple[bytes, str]:
    """The body and content type of a sound form."""
    return b"".join(part(name, value) for name, value in fields.items()) + closing(), form_type()


def part(name: str, value: bytes | str, more: str = "") -> bytes:
    content = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + content + b"\r\n"


def closing() -> bytes:
    return f"--{BOUNDARY}--\r\n".encode()


def form_type() -> str:
    return f"multipart/form-data; boundary={BOUNDARY}"


def pick(random: Random) -> tuple[str, bytes]:
    """A picture and its description, mostly a sound one: from damage to those there is most to learn."""
    if random.random() < 0.85:
        return random.choice(list(readable().items()))
    name, (data, _) = random.choice(list(unreadable().items()))
    return name, data


def cut_picture(random: Random, model: str) -> Case:
    name, data = pick(random)
    data = cut(random, data)
    return Case(f"{name}, cut after {len(data)} bytes", invocation(model, **SMALL), data, "image/jpeg")


def damaged_picture(random: Random, model: str) -> Case:
    name, data = pick(random)
    return Case(f"{name}, damaged", invocation(model, **SMALL), damaged(random, data), "application/octet-stream")


def damaged_text(random: Random, model: str) -> Case:
    """A picture as base64 in which something is wrong, or nothing."""
    name, data = pick(random)
    text = text_of(data)[:20_000]
    place = random.randrange(len(text) + 1)
    text = text[:place] + random.choice(["", "=", "\n", " ", "*", "\u00e9", "\ud800", "\\", "-_", "AAA"]) + text[place:]
    start = random.choice(
        ["", "", "data:image/png;base64,", "data:;base64,", "data:image/png,", "data:a/b;c=d;base64,", "http://x/"]
    )
    document = {"image": start + text, "image_size": 32}
    return Case(f"{name}, text with a fault at {place}", f"/predictions/{model}", to_json(document), "application/json")


def odd_options(random: Random, model: str) -> Case:
    """Options of a JSON body, of a form or of a query, most of them impossible."""
    chosen = {random.choice(KEYS[: len(NAMES) + 2]): random.choice(ODD) for _ in range(random.randrange(1, 4))}
    data = readable()["PNG"]
    way = random.randrange(3)
    if way == 0:
        body = to_json({"image": text_of(data), "image_size": 32, **chosen})
        return Case(f"JSON with {chosen!r:.200}", f"/predictions/{model}", body, "application/json")
    texts = {name: str(value)[:1000] for name, value in chosen.items() if name}
    if way == 1:
        body, content_type = form({"image": data, **SMALL, **texts})
        return Case(f"form with {texts!r:.200}", f"/predictions/{model}", body, content_type)
    query = urlencode({"model_name": model, **SMALL, **texts}, errors="replace")
    return Case(f"query with {texts!r:.200}", f"/invocations?{query}", data, "image/png")


def tree(random: Random, depth: int = 0) -> Any:
    """Any JSON value."""
    kind = random.randrange(4 if depth < 5 else 2)
    if kind < 2:
        return random.choice(ODD)
    if kind == 2:
        return [tree(random, depth + 1) for _ in range(random.randrange(5))]
    return {random.choice(KEYS): tree(random, depth + 1) for _ in range(random.randrange(4))}


def json_of_any_shape(random: Random, model: str) -> Case:
    document = {random.choice(KEYS): tree(random) for _ in range(random.randrange(4))}
    path = random.choice([f"/predictions/{model}", invocation(model, **SMALL), f"/v1/models/{model}:predict"])
    return Case(f"JSON {document!r:.200}", path, to_json(document), random.choice(["application/json", None]))


def broken_json(random: Random, model: str) -> Case:
    """Text that is nearly JSON: too deep, too wide, twice the same key, not UTF-8, or with bytes changed."""
    picture = text_of(readable()["PNG"])
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


def odd_content_type(random: Random, model: str) -> Case:
    name, data = pick(random)
    content_type = random.choice(CONTENT_TYPES)
    body = random.choice([data, to_json({"image": text_of(data), "image_size": 32}), b"", random.randbytes(30)])
    path = random.choice([f"/predictions/{model}", invocation(model, **SMALL)])
    return Case(f"{name} of {len(body)} bytes as {content_type!r}", path, body, content_type)


def odd_form(random: Random, model: str) -> Case:
    """A form with parts missing, doubled, foreign, nested, cut off or changed."""
    data = pick(random)[1][:5000]
    name = random.choice(KEYS[1:-2])
    parts = [
        part("image", data), part("image", data, '; filename="a.png"\r\nContent-Type: image/png'),
        part("image", b"", '; filename=""'), part("image", data, "\r\nContent-Transfer-Encoding: base64"),
        part("image", text_of(data)), part("image_size", "32"),
        part(name, str(random.choice(ODD))[:500]), part(name, random.randbytes(9)),
    ]  # fmt: skip
    body = b"".join(random.choices(parts, k=random.randrange(5))) + closing()
    ways = ["whole", "whole", "cut", "changed", "with a preamble", "with a trailer"]
    way = random.choice(ways)
    if way == "cut":
        body = body[: random.randrange(len(body))]
    elif way == "changed":
        body = damaged(random, body)
    else:
        body = {"whole": b"", "with a preamble": b"preamble\r\n", "with a trailer": b""}[way] + body
        body += b"trailer" if way == "with a trailer" else b""
    statuses = CONTRACT | FORM_FAULT if way in ("cut", "changed") else CONTRACT
    return Case(f"form of {len(body)} bytes, {way}", f"/predictions/{model}", body, form_type(), statuses)


def v1_garbage(random: Random, model: str) -> Case:
    picture = text_of(pick(random)[1])[: random.choice([10**6, 50])]
    items = [
        picture,
        {"b64": picture},
        {"image": picture},
        {"image": {"b64": picture}},
        {"b64": {"image": picture}},
        *ODD,
    ]
    instances: Any = random.choices(items, k=random.choice([0, 1, 2, 3, 65]))
    if random.random() < 0.2:
        instances = random.choice(ODD)
    document = {"instances": instances, "parameters": random.choice([{"image_size": 32}, *ODD])}
    if random.random() < 0.2:
        document[random.choice(KEYS)] = random.choice(ODD)
    return Case(f"v1 {document!r:.200}", f"/v1/models/{model}:predict", to_json(document), "application/json")


def list_of_pictures(random: Random, model: str) -> Case:
    names, data = zip(*(pick(random) for _ in range(random.randrange(1, 6))), strict=True)
    images = [text_of(random.choice([one, cut(random, one), damaged(random, one)])) for one in data]
    body = to_json({"images": images, "image_size": 32})
    return Case(f"list of {names}", f"/predictions/{model}", body, "application/json", frozenset({200}))


MAKERS: tuple[Maker, ...] = (
    cut_picture, cut_picture, damaged_picture, damaged_picture, damaged_picture, damaged_text, odd_options, odd_options,
    json_of_any_shape, broken_json, odd_content_type, odd_form, v1_garbage, list_of_pictures,
)  # fmt: skip
