"""What an operator may do to the models: load, scale, register, set the default, unregister.

The exchange of a version for another under load is in swap.py.
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

MOST_WORKERS = 64
START_TIMEOUT = (5.0, 200.0)  # seconds; a worker has 120 to start


class InvalidAction(Exception):
    """An action that cannot be asked for, in words for the operator."""


def anybody() -> None:
    """For scripts: who holds the management token may do everything."""


@dataclass(frozen=True)
class Operator:
    """Changes the models of a service. `check` raises where the one who asks may not; it is called before each change.

    Every method raises ServiceError as the client does, and returns when the change is done.
    """

    client: Client
    check: Callable[[], None] = anybody

    def scale(self, model: str, version: str, workers: int) -> None:
        """Give a version so many workers. What those that go have in work may be answered by an error."""
        if not 0 <= workers <= MOST_WORKERS:
            raise InvalidAction(f"{workers} workers; expected 0 to {MOST_WORKERS}")
        parameters: Parameters = {"min_worker": workers, "max_worker": workers, "synchronous": "true"}
        self._change("PUT", _path(model, version), parameters)

    def load(self, model: str, version: str, workers: int = 1) -> None:
        """Start workers of a version that has none."""
        self.scale(model, version, max(1, workers))

    def unload(self, model: str, version: str) -> None:
        """Stop all workers of a version; it stays registered, and answers 503 until it is loaded again."""
        self.scale(model, version, 0)

    def register(self, archive: str, model: str | None = None, workers: int = 1) -> None:
        """Register an archive of the model store, under its own name or as a version of `model`, and start its workers.

        `archive` is a file's plain name. Where its workers do not start, TorchServe keeps the version without any.
        """
        if not is_archive_name(archive):
            raise InvalidAction(
                f"{archive!r} is no archive's name; expected the name of a .mar file in the model store"
            )
        parameters: Parameters = {"url": archive, "initial_workers": workers, "synchronous": "true"}
        self._change("POST", "/models", {**parameters, "model_name": model} if model else parameters)

    def set_default(self, model: str, version: str) -> None:
        """Send the requests that name no version to this one."""
        self._change("PUT", _path(model, version) + "/set-default", {})

    def unregister(self, model: str, version: str) -> None:
        """Remove a version, and drop the requests that it has. The default one goes last: TorchServe sees to that."""
        self._change("DELETE", _path(model, version), {"synchronous": "true"})

    def models(self) -> list[Model]:
        """All models, as they are now."""
        return self.client.describe_all()

    def _change(self, method: str, path: str, parameters: Parameters) -> requests.Response:
        self.check()
        # A change is asked for once: 503 is what TorchServe answers where a worker cannot be had.
        return self.client.call("management", method, path, retries=0, timeout=START_TIMEOUT, params=parameters)


def _path(model: str, version: str) -> str:
    return f"/models/{quote(model, safe='')}/{quote(version, safe='')}"
