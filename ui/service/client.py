"""A client of the service, for the page, the command line, a notebook or a script.

client = Client("http://127.0.0.1:8080", key_file=Path(".run/key_file.json"))
answer = client.detect("yolov5s", Path("bus.jpg").read_bytes(), confidence=0.4)
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from service.answers import Answer, Detection, read_answer
from service.errors import Busy, Failed, InvalidToken, Refused, ServiceError, TimedOut, Unreachable
from service.records import Card, Health, Model, read_card, read_model
from service.tokens import Api, api_key, read_token, token_after_refusal

__all__ = [
    "Answer", "Api", "Busy", "Client", "Detection", "Failed", "InvalidToken", "Refused", "ServiceError", "TimedOut",
    "Unreachable", "read_token",
]  # fmt: skip

Timeout = tuple[float, float]

TIMEOUT: Timeout = (5.0, 130.0)  # seconds to connect and to read; the service itself gives up after 120
QUICK: Timeout = (3.0, 10.0)  # for what needs no worker
RETRIES = 4
BACKOFF = 0.25  # seconds before the first retry, doubled each time


class Client:
    """Talks to one service. Its tokens go to these addresses only; an expired one is renewed, see keys.py."""

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

    def detect(self, model: str, image: bytes, version: str | None = None, **options: Any) -> Answer:
        """Detections of `model` (or "model/version") in a picture's bytes, sent as they are.

        Options: see the service's description.
        """
        started = time.perf_counter()
        path = "/predictions" + _path(model, version)
        if options:
            fields = {name: (None, _field(value)) for name, value in options.items()}
            response = self.call("inference", "POST", path, files={"image": image, **fields})
        else:
            headers = {"Content-Type": "application/octet-stream"}
            response = self.call("inference", "POST", path, data=image, headers=headers)
        return read_answer(response.content, time.perf_counter() - started)

    def health(self) -> Health:
        """What /ping says. Raises ServiceError where nothing answers or the token is refused."""
        try:
            document = _document(self.call("inference", "GET", "/ping", retries=0, timeout=QUICK))
        except (Busy, Failed) as error:  # TorchServe answers 500 where a model lost its workers for long
            return Health(False, str(error))
        return Health(True, str(document.get("status", "")))

    def describe(self, model: str, version: str | None = None, customized: bool = False) -> list[dict[str, Any]]:
        """Management's description of a model: one entry per version asked for ("all" for each)."""
        entries: list[dict[str, Any]] = self.call(
            "management", "GET", "/models" + _path(model, version),
            params={"customized": "true"} if customized else None,
            retries=0 if customized else None,  # 503: there is no worker to ask
            timeout=QUICK,
        ).json()  # fmt: skip
        return entries

    def describe_all(self) -> list[Model]:
        """All models with all their versions, by name. A model that is removed meanwhile is left out."""
        models = []
        for name in sorted(self.models()):
            try:
                models.append(self.describe_model(name))
            except Refused as error:
                if error.status != 404:
                    raise
        return models

    def describe_model(self, name: str) -> Model:
        """A model with all its versions. Raises Refused (404) where there is none."""
        return read_model(name, self.describe(name), self.describe(name, "all"))

    def card(self, model: str, version: str | None = None) -> Card | None:
        """What a model says of itself; None if it is no archive of this project.

        A worker answers this: raises Busy where there is none, TimedOut where it is occupied or still starting.
        """
        return read_card(self.describe(model, version, customized=True)[0])

    def models(self) -> list[str]:
        """Names of the registered models."""
        response = self.call("management", "GET", "/models", params={"limit": 1000}, timeout=QUICK)
        return [entry["modelName"] for entry in response.json()["models"]]

    def call(
        self,
        api: Api,
        method: str,
        path: str,
        retries: int | None = None,
        timeout: Timeout = TIMEOUT,
        **arguments: Any,
    ) -> requests.Response:
        """One call of the API with its token. Retries a 503 with backoff (`retries` times), and once a refused token.

        Raises Unreachable, TimedOut, Busy, Failed, InvalidToken or Refused.
        """
        tries = self._retries if retries is None else retries
        arguments |= {"timeout": timeout}
        for attempt in range(tries + 1):
            response = self._send_with_token(api, method, path, **arguments)
            if response.status_code != 503:
                return response
            if attempt < tries:
                time.sleep(BACKOFF * 2**attempt)
        raise Busy(_message(response), 503, _kind(response))

    def renew(self, api: Api) -> None:
        """Have TorchServe make a new token for an API, in its key file; the old one opens nothing from now on."""
        if self._key_file is None:
            raise ValueError("this client was made without a key file")
        self._renew(api, api_key(self._key_file))

    def token(self, api: Api) -> str | None:
        """The token in force for an API, or None where there is no key file."""
        return read_token(self._key_file, api) if self._key_file else None

    def _send_with_token(self, api: Api, method: str, path: str, **arguments: Any) -> requests.Response:
        """One attempt with the token in force; a second one if that was refused and there is another by now."""
        token = self.token(api)
        try:
            return self._send(api, method, path, token, **arguments)
        except InvalidToken:
            if self._key_file is None or token is None:
                raise
            other = token_after_refusal(self._key_file, api, token, lambda key: self._renew(api, key))
            if other is None:
                raise
        return self._send(api, method, path, other, **arguments)

    def _renew(self, api: Api, api_key: str) -> None:
        """Have TorchServe write a new token into the key file."""
        if self._urls["management"] is None:
            raise KeyError("management")  # without its address there is nobody to ask
        self._send("management", "GET", "/token", api_key, params={"type": api}, timeout=QUICK)

    def _send(self, api: Api, method: str, path: str, token: str | None, **arguments: Any) -> requests.Response:
        """One attempt. Raises for everything but success and 503."""
        url = self._urls[api]
        if url is None:
            raise ValueError(f"this client was made without the address of the {api} API")
        headers = dict(arguments.pop("headers", {}))
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = {"headers": headers, "allow_redirects": False, **arguments}
        try:
            response = self._exchange(method, url + path, request)
        except requests.ReadTimeout as error:
            raise TimedOut(f"{url} did not answer within {arguments['timeout'][1]:.0f} s") from error
        except requests.RequestException as error:
            raise Unreachable(f"no answer from {url}: {type(error).__name__}") from error
        if response.status_code < 300 or response.status_code == 503:
            return response
        kind = _kind(response)
        failure = Failed if response.status_code >= 500 else InvalidToken if kind == "InvalidKeyException" else Refused
        raise failure(_message(response), response.status_code, kind)

    def _exchange(self, method: str, url: str, request: dict[str, Any]) -> requests.Response:
        """A request and its response.

        A kept connection may be closed by the server just as it is used again. What only reads is then asked once
        more; of anything else nobody knows whether it was done.
        """
        try:
            return self._session.request(method, url, **request)
        except requests.ConnectionError as error:
            if method != "GET" or isinstance(error, requests.Timeout):
                raise
            return self._session.request(method, url, **request)


def _path(model: str, version: str | None) -> str:
    """`/model` or `/model/version`, encoded; the version may stand in `model` behind a slash."""
    name, _, inline = model.partition("/")
    named = version or inline
    return f"/{quote(name, safe='')}" + (f"/{quote(named, safe='')}" if named else "")


def _field(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(str(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _document(response: requests.Response) -> dict[str, Any]:
    """The JSON object in a response; empty where there is none."""
    try:
        document = response.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _kind(response: requests.Response) -> str:
    return str(_document(response).get("type", ""))


def _message(response: requests.Response) -> str:
    document = _document(response)
    message = document.get("message") or document.get("status")
    return str(message or f"HTTP {response.status_code}: {response.text[:200]}")
