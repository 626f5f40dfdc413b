"""A client of the service, for the page, the command line, a notebook or a script.

client = Client("http://127.0.0.1:8080", key_file=Path(".run/key_file.json"))
answer = client.detect("yolov5s", Path("bus.jpg").read_bytes(), confidence=0.4)
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import requests

Api = Literal["inference", "management"]

TIMEOUT = (5.0, 130.0)  # seconds to connect and to read; the service itself gives up after 120
RETRIES = 4
BACKOFF = 0.25  # seconds before the first retry, doubled each time


class ServiceError(Exception):
    """The service did not do what was asked. `status` is 0 where it did not answer at all."""

    def __init__(self, message: str, status: int = 0, kind: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


class Unreachable(ServiceError):
    """Nothing answers at the address."""


class Busy(ServiceError):
    """The service answers 503: its queue is full or a worker is away. Trying again later may work."""


class Refused(ServiceError):
    """The service refuses this request (4xx); trying again will not help."""


class InvalidToken(Refused):
    """No token, a wrong or an expired one."""


@dataclass(frozen=True)
class Detection:
    """One object: its box in the picture's pixels, its class, its confidence in 0..1."""

    xyxy: tuple[float, float, float, float]
    class_id: int
    class_name: str
    confidence: float


@dataclass(frozen=True)
class Answer:
    """The detections in one picture. `time` is the network's and suppression's, `round_trip` all; seconds."""

    model: str
    version: str
    time: float
    round_trip: float
    size_wh: tuple[int, int]
    detections: tuple[Detection, ...]
    document: dict[str, Any]


class Client:
    """Talks to one service. Tokens come from its key file, which is read again when one is refused."""

    def __init__(
        self,
        inference_url: str,
        management_url: str | None = None,
        key_file: Path | None = None,
        retries: int = RETRIES,
    ) -> None:
        self._urls: dict[Api, str | None] = {"inference": inference_url, "management": management_url}
        self._key_file = key_file
        self._retries = retries
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy of the environment must not see the tokens

    def detect(self, model: str, image: bytes, **options: Any) -> Answer:
        """Detections of `model` in a picture's bytes, sent as they are. Options: see the service's description."""
        started = time.perf_counter()
        if options:
            fields = {name: (None, _field(value)) for name, value in options.items()}
            response = self.call("inference", "POST", f"/predictions/{model}", files={"image": image, **fields})
        else:
            headers = {"Content-Type": "application/octet-stream"}
            response = self.call("inference", "POST", f"/predictions/{model}", data=image, headers=headers)
        return _answer(response.json(), time.perf_counter() - started)

    def describe(self, model: str, version: str | None = None, customized: bool = False) -> list[dict[str, Any]]:
        """Management's description of a model: one entry per version asked for."""
        path = f"/models/{model}" + (f"/{version}" if version else "")
        entries: list[dict[str, Any]] = self.call(
            "management", "GET", path, params={"customized": "true"} if customized else None
        ).json()
        return entries

    def models(self) -> list[str]:
        """Names of the registered models."""
        response = self.call("management", "GET", "/models", params={"limit": 1000})
        return [entry["modelName"] for entry in response.json()["models"]]

    def call(self, api: Api, method: str, path: str, **arguments: Any) -> requests.Response:
        """One call of the API with its token. Retries a 503 with backoff, and once a refused token.

        Raises Unreachable, Busy, InvalidToken or Refused.
        """
        headers = dict(arguments.pop("headers", {}))
        refused = False
        for attempt in range(self._retries + 1):
            try:
                response = self._send(api, method, path, headers, **arguments)
            except InvalidToken:
                if refused or self._key_file is None:
                    raise
                refused = True  # the key file may have been renewed a moment ago
                response = self._send(api, method, path, headers, **arguments)
            if response.status_code != 503:
                return response
            if attempt < self._retries:
                time.sleep(BACKOFF * 2**attempt)
        raise Busy(_message(response), 503)

    def token(self, api: Api) -> str | None:
        """The token in force for an API, or None where there is no key file."""
        return read_token(self._key_file, api) if self._key_file else None

    def _send(self, api: Api, method: str, path: str, headers: dict[str, str], **arguments: Any) -> requests.Response:
        """One attempt. Raises for everything but success and 503."""
        url = self._urls[api]
        if url is None:
            raise ValueError(f"this client was made without the address of the {api} API")
        token = self.token(api)
        if token:
            headers = {**headers, "Authorization": f"Bearer {token}"}
        try:
            response = self._session.request(
                method, url + path, headers=headers, timeout=TIMEOUT, allow_redirects=False, **arguments
            )
        except requests.RequestException as error:
            raise Unreachable(f"no answer from {url}: {type(error).__name__}") from error
        if response.status_code < 300 or response.status_code == 503:
            return response
        kind = _error(response).get("type", "")
        failure = InvalidToken if kind == "InvalidKeyException" else Refused
        raise failure(_message(response), response.status_code, kind)


def read_token(key_file: Path, api: Api) -> str:
    """The token that TorchServe wrote for an API. Raises InvalidToken where there is none."""
    try:
        key: str = json.loads(key_file.read_text(encoding="utf-8"))[api]["key"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidToken(f"no {api} token in {key_file}: {type(error).__name__}; is the service running?") from error
    return key


def _field(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(str(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _error(response: requests.Response) -> dict[str, Any]:
    try:
        document = response.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _message(response: requests.Response) -> str:
    return str(_error(response).get("message") or f"HTTP {response.status_code}: {response.text[:200]}")


def _answer(document: dict[str, Any], round_trip: float) -> Answer:
    detections = tuple(
        Detection(tuple(entry["xyxy"]), entry["class_id"], entry["class_name"], entry["confidence"])
        for entry in document["detections"]
    )
    size_wh = document["image"]["width"], document["image"]["height"]
    return Answer(document["model"], document["version"], document["time"], round_trip, size_wh, detections, document)
