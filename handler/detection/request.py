"""The request half of the wire contract: what a client may send, and the tasks it asks for."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from .detector import Task
from .errors import DetectionError, InvalidOption, InvalidRequest
from .options import Options, parse_options, shown

Form = Literal["one", "list", "predictions"]

MAX_IMAGES = 64
DATA_URL = re.compile(r"data:[\w.+-]+/[\w.+-]+(;[\w.+-]+=[\w.+-]+)*;base64,", re.ASCII)


@dataclass(frozen=True)
class Request:
    """The pictures of one request, each a task or the error it earned, and the form of the answer."""

    tasks: tuple[Task | DetectionError, ...]
    form: Form


@dataclass(frozen=True)
class Contract:
    """What one served model accepts: its name, its classes and its default options."""

    model: str
    class_names: tuple[str, ...]
    defaults: Options

    def parse(self, row: Mapping[str, object]) -> Request:
        """The request in one row of TorchServe's batch: the body, or the fields of a form, and query parameters.

        Raises InvalidRequest or InvalidOption; what is wrong with one picture of several is kept in its place.
        """
        fields = dict(row)
        self._require_model(fields.pop("model_name", self.model))  # TorchServe's own query parameter of /invocations
        body = fields.pop("body", None)
        if body is None and "instances" in fields:
            return self._predict(fields)
        if body is None:
            return self._form(fields)
        document = _json(body)
        if document is None:
            return self._one(_bytes(body), fields)
        if "instances" in document:
            return self._predict({**fields, **document})
        return self._document({**fields, **document})

    def _form(self, fields: dict[str, object]) -> Request:
        """multipart/form-data: `image`, and options."""
        image = fields.pop("image", None)
        if not isinstance(image, (bytes, bytearray)):
            names = ", ".join(shown(name) for name in fields) or "none"
            raise InvalidRequest(
                f"no image in the request (fields: {names}); send the picture's bytes as the body, a form with the "
                'file field `image`, or JSON {"image": "<base64>"} with Content-Type: application/json'
            )
        return self._one(image, fields)

    def _one(self, image: bytes | bytearray, options: Mapping[str, object]) -> Request:
        return Request((Task(image, self._options(options)),), "one")

    def _document(self, document: dict[str, object]) -> Request:
        """A JSON object with `image` or `images`."""
        self._require_model(document.pop("model", self.model))
        if ("image" in document) == ("images" in document):
            raise InvalidRequest("the JSON body needs either `image` (base64 text) or `images` (a list of them)")
        if "image" in document:
            image = document.pop("image")
            return Request((Task(_base64(image, "image"), self._options(document)),), "one")
        images = document.pop("images")
        return self._several(images, "images", self._options(document), "list")

    def _predict(self, document: dict[str, object]) -> Request:
        """KServe's v1 protocol: `instances`, and options under `parameters`."""
        instances = document.pop("instances")
        parameters = document.pop("parameters", None)
        parameters = {} if parameters is None else parameters
        if document:
            raise InvalidRequest(f"unknown key {shown(next(iter(document)))} beside `instances` and `parameters`")
        if not isinstance(parameters, dict):
            raise InvalidRequest(f"`parameters` is {shown(parameters)}; expected an object of options")
        return self._several(instances, "instances", self._options(parameters), "predictions")

    def _several(self, images: object, key: str, options: Options, form: Form) -> Request:
        if not isinstance(images, list) or not 1 <= len(images) <= MAX_IMAGES:
            found = f"a list of {len(images)}" if isinstance(images, list) else shown(images)
            raise InvalidRequest(f"`{key}` is {found}; expected a list of 1 to {MAX_IMAGES} pictures")
        tasks: list[Task | DetectionError] = []
        for index, image in enumerate(images):
            try:
                tasks.append(Task(_base64(_unwrapped(image), f"{key}[{index}]"), options))
            except InvalidRequest as error:
                tasks.append(error)
        return Request(tuple(tasks), form)

    def _require_model(self, model: object) -> None:
        """Refuse a request for another model, which TorchServe may have sent here all the same."""
        if isinstance(model, (bytes, bytearray)):
            model = model.decode("utf-8", "replace")
        if model != self.model:
            raise InvalidRequest(f"the request asks for model {shown(model)}, but this address serves {self.model!r}")

    def _options(self, values: Mapping[str, object]) -> Options:
        try:
            return parse_options(values, self.defaults, self.class_names)
        except ValueError as error:
            raise InvalidOption(str(error)) from None


def _json(body: object) -> dict[str, object] | None:
    """The JSON object in a body, or None where the body is not JSON but a picture."""
    if isinstance(body, (bytes, bytearray)):
        if body[:64].removeprefix(b"\xef\xbb\xbf").lstrip()[:1] not in (b"{", b"["):  # no picture begins like this
            return None
        try:
            body = json.loads(body, parse_constant=_refuse_constant)
        except RecursionError:
            raise InvalidRequest("the JSON body is nested too deep; expected an object of plain values") from None
        except ValueError as error:
            raise InvalidRequest(f"the body is not valid JSON: {error}"[:300]) from None
    if isinstance(body, str):
        return None
    if not isinstance(body, dict):
        raise InvalidRequest(f"the JSON body is {shown(body)}; expected an object")
    return body


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not a number of JSON")


def _bytes(body: object) -> bytes | bytearray:
    return body if isinstance(body, (bytes, bytearray)) else str(body).encode("utf-8", "surrogatepass")


def _unwrapped(instance: object) -> object:
    """The base64 text of `{"image": {"b64": text}}`, `{"image": text}`, `{"b64": text}` or the text itself."""
    for key in ("image", "b64"):
        if isinstance(instance, dict) and list(instance) == [key]:
            instance = instance[key]
    return instance


def _base64(text: object, place: str) -> bytes:
    if not isinstance(text, str):
        raise InvalidRequest(f"`{place}` is {shown(text)}; expected the picture as base64 text")
    start = DATA_URL.match(text)
    try:
        return base64.b64decode("".join(text[start.end() if start else 0 :].split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(f"`{place}` is not base64: {error}") from None
