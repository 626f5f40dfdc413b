"""The client of the inference and management APIs, for the page, the command line, a notebook or a script."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from service.answers import Answer, read_answer
from service.error_responses import error_of_response
from service.errors import Busy, Failed, InvalidToken, Refused, ServiceError, TimedOut, Unreachable
from service.records import Health, Model, ModelCard, read_model, read_model_card
from service.tokens import Api, read_api_key, read_token, token_after_refusal

Timeout = tuple[float, float]

TIMEOUT: Timeout = (5.0, 130.0)  # seconds to connect and to read; TorchServe itself gives up after 120
QUICK_TIMEOUT: Timeout = (3.0, 10.0)  # for requests that need no worker
MAX_RETRIES = 4
BACKOFF_SECONDS = 0.25  # before the first retry, doubled each time


class Client:
    """A client of one service. It sends its tokens to these URLs only, and renews expired ones, see tokens.py."""

    def __init__(
        self,
        inference_url: str,
        management_url: str | None = None,
        key_file: Path | None = None,
        retries: int = MAX_RETRIES,
    ) -> None:
        self._urls: dict[Api, str | None] = {"inference": inference_url, "management": management_url}
        self._key_file = key_file
        self._retries = retries
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy of the environment must not see the tokens

    def detect(self, model: str, image: bytes, version: str | None = None, **options: Any) -> Answer:
        """Detect objects with `model` (or "model/version"). `image`: the bytes of an image file, sent unchanged.

        docs/api.md lists the options.
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
        """The state that /ping reports. Raises ServiceError without an answer, or if the token is refused."""
        try:
            document = _document(self.call("inference", "GET", "/ping", retries=0, timeout=QUICK_TIMEOUT))
        except (Busy, Failed) as error:  # TorchServe answers 500 for a model without workers for a long time
            return Health(False, str(error))
        return Health(True, str(document.get("status", "")))

    def describe(self, model: str, version: str | None = None, customized: bool = False) -> list[dict[str, Any]]:
        """The management API's description of a model: the default version, `version`, or all versions for "all".

        customized: with the metadata of the handler, for which a worker must answer.
        """
        entries: list[dict[str, Any]] = self.call(
            "management", "GET", "/models" + _path(model, version),
            params={"customized": "true"} if customized else None,
            retries=0 if customized else None,  # 503: no worker can answer
            timeout=QUICK_TIMEOUT,
        ).json()  # fmt: skip
        return entries

    def describe_all(self) -> list[Model]:
        """All models with all their versions, sorted by name. A model that is removed meanwhile is left out."""
        models = []
        for name in sorted(self.models()):
            try:
                models.append(self.describe_model(name))
            except Refused as error:
                if error.status != 404:
                    raise
        return models

    def describe_model(self, name: str) -> Model:
        """A model with all its versions. Raises Refused (404) if it is not registered."""
        return read_model(name, self.describe(name), self.describe(name, "all"))

    def model_card(self, model: str, version: str | None = None) -> ModelCard | None:
        """The metadata of a model's archive; None for an archive of another project.

        A worker answers this. Raises Busy without a worker, and TimedOut if it is occupied or still starting.
        """
        return read_model_card(self.describe(model, version, customized=True)[0])

    def models(self) -> list[str]:
        """Names of the registered models."""
        response = self.call("management", "GET", "/models", params={"limit": 1000}, timeout=QUICK_TIMEOUT)
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
        """Send a request with the API's token. Retries a 503 `retries` times with backoff, and a refused token once.

        Raises Unreachable, TimedOut, Busy, Failed, InvalidToken or Refused.
        """
        tries = self._retries if retries is None else retries
        arguments |= {"timeout": timeout}
        for attempt in range(tries + 1):
            try:
                return self._send_with_token(api, method, path, **arguments)
            except Busy:
                if attempt == tries:
                    raise
                time.sleep(BACKOFF_SECONDS * 2**attempt)
        raise ValueError(f"{retries} retries; expected 0 or more")

    def renew(self, api: Api) -> None:
        """Let TorchServe write a new token for an API into its key file. This invalidates the old token."""
        if self._key_file is None:
            raise ValueError("this client has no key file")
        self._renew(api, read_api_key(self._key_file))

    def token(self, api: Api) -> str | None:
        """The current token of an API, or None without a key file."""
        return read_token(self._key_file, api) if self._key_file else None

    def _send_with_token(self, api: Api, method: str, path: str, **arguments: Any) -> requests.Response:
        """One attempt with the current token, and a second one if that was refused and there is a new token."""
        token = self.token(api)
        try:
            return self._send(api, method, path, token, **arguments)
        except InvalidToken:
            if self._key_file is None or token is None:
                raise
            new_token = token_after_refusal(self._key_file, api, token, lambda key: self._renew(api, key))
            if new_token is None:
                raise
        return self._send(api, method, path, new_token, **arguments)

    def _renew(self, api: Api, api_key: str) -> None:
        """Let TorchServe write a new token into the key file."""
        if self._urls["management"] is None:
            raise KeyError("management")  # only the management API renews tokens
        self._send("management", "GET", "/token", api_key, params={"type": api}, timeout=QUICK_TIMEOUT)

    def _send(self, api: Api, method: str, path: str, token: str | None, **arguments: Any) -> requests.Response:
        """One attempt. Raises ServiceError for every response but a successful one."""
        url = self._urls[api]
        if url is None:
            raise ValueError(f"this client has no URL of the {api} API")
        headers = dict(arguments.pop("headers", {}))
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = {"headers": headers, "allow_redirects": False, **arguments}
        try:
            response = self._send_once_or_twice(method, url + path, request)
        except requests.ReadTimeout as error:
            raise TimedOut(f"{url} did not answer within {arguments['timeout'][1]:.0f} s") from error
        except requests.RequestException as error:
            raise Unreachable(f"no answer from {url}: {type(error).__name__}") from error
        if response.status_code < 300:
            return response
        raise _error_of(response)

    def _send_once_or_twice(self, method: str, url: str, request: dict[str, Any]) -> requests.Response:
        """The response to a request.

        The server may close a kept connection at the moment of its next use. A GET is then sent again; for other
        methods it is unknown whether the server has acted.
        """
        try:
            return self._session.request(method, url, **request)
        except requests.ConnectionError as error:
            if method != "GET" or isinstance(error, requests.Timeout):
                raise
            return self._session.request(method, url, **request)


def _path(model: str, version: str | None) -> str:
    """`/model` or `/model/version`, encoded; `model` may hold the version behind a slash."""
    name, _, inline = model.partition("/")
    version = version or inline
    return f"/{quote(name, safe='')}" + (f"/{quote(version, safe='')}" if version else "")


def _field(value: Any) -> str:
    """An option's value as a form field."""
    if isinstance(value, (list, tuple)):
        return ",".join(str(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _document(response: requests.Response) -> dict[str, Any]:
    """The JSON object in a response; empty if there is none."""
    try:
        document = response.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _error_of(response: requests.Response) -> ServiceError:
    document = _document(response)
    message = document.get("message") or document.get("status")
    text = str(message or f"HTTP {response.status_code}: {response.text[:200]}")
    return error_of_response(response.status_code, str(document.get("type", "")), text)
