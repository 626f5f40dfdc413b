"""The changes that an operator makes to the models: load, scale, register, set the default, unregister.

swap.py replaces a version under load.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

import requests

from service.archives import is_archive_name
from service.client import Client
from service.records import Model

Parameters = dict[str, str | int]

MAX_WORKERS = 64
CHANGE_TIMEOUT = (5.0, 200.0)  # seconds to connect and to read; a worker has 120 to start


class InvalidAction(Exception):
    """An action with invalid arguments, or at the wrong time. The message is for the operator."""


def allow_everyone() -> None:
    """The check for scripts: the management token is the permission."""


@dataclass(frozen=True)
class Operator:
    """Changes the models of a service. `check` is called before each change and raises to forbid it.

    Every method raises ServiceError as the client does, and returns when the change is complete.
    """

    client: Client
    check: Callable[[], None] = allow_everyone

    def scale(self, model: str, version: str, workers: int) -> None:
        """Set the number of workers of a version. Requests that a stopping worker has may fail."""
        if not 0 <= workers <= MAX_WORKERS:
            raise InvalidAction(f"{workers} workers; expected 0 to {MAX_WORKERS}")
        parameters: Parameters = {"min_worker": workers, "max_worker": workers, "synchronous": "true"}
        self._change("PUT", _path(model, version), parameters)

    def load(self, model: str, version: str, workers: int = 1) -> None:
        """Start workers of an unloaded version."""
        self.scale(model, version, max(1, workers))

    def unload(self, model: str, version: str) -> None:
        """Stop all workers of a version. It stays registered and answers 503 until it is loaded again."""
        self.scale(model, version, 0)

    def register(self, archive: str, model: str | None = None, workers: int = 1) -> None:
        """Register an archive of the model store, as its own model or as a version of `model`, and start its workers.

        `archive` is a plain file name. If the workers do not start, TorchServe keeps the version without workers.
        """
        if not is_archive_name(archive):
            raise InvalidAction(f"{archive!r}; expected the name of a .mar file in the model store")
        parameters: Parameters = {"url": archive, "initial_workers": workers, "synchronous": "true"}
        self._change("POST", "/models", {**parameters, "model_name": model} if model else parameters)

    def set_default(self, model: str, version: str) -> None:
        """Make a version the default: requests without a version go to it."""
        self._change("PUT", _path(model, version) + "/set-default", {})

    def unregister(self, model: str, version: str) -> None:
        """Remove a version and drop its requests. TorchServe refuses it for the default version among several."""
        self._change("DELETE", _path(model, version), {"synchronous": "true"})

    def models(self) -> list[Model]:
        """All models with their current state."""
        return self.client.describe_all()

    def _change(self, method: str, path: str, parameters: Parameters) -> requests.Response:
        self.check()
        # No retries: TorchServe answers 503 when a worker cannot start.
        return self.client.call("management", method, path, retries=0, timeout=CHANGE_TIMEOUT, params=parameters)


def _path(model: str, version: str) -> str:
    return f"/models/{quote(model, safe='')}/{quote(version, safe='')}"
