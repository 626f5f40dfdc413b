"""What should be registered, when a file says so: several servers that read the same file serve the same models.

The file is a list of registrations as registration.py has them. Whatever differs from it is put right, without losing
a request: new versions come up and are tried before they become the default, old ones go once they have answered.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from server.container.registration import Registration
from service.client import ServiceError
from service.drain import NotDrained, drain
from service.operator import InvalidAction, Operator
from service.records import Model
from service.swap import SwapFailed, hot_swap

AGAIN_SECONDS = 120.0  # after a failure, unless the file changes before


class InvalidDesire(Exception):
    """The file does not say what should be registered."""


def read_desired(path: Path) -> tuple[Registration, ...]:
    """What the file asks for. Raises InvalidDesire."""
    try:
        entries = tuple(Registration(**each) for each in json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise InvalidDesire(
            f"{path}: expected a list of objects with {', '.join(Registration.__annotations__)}: {error}"
        ) from error
    for model in {each.model for each in entries}:
        own = [each for each in entries if each.model == model]
        if sum(each.is_default for each in own) != 1 or len({each.version for each in own}) < len(own):
            raise InvalidDesire(f"{path}: {model} should have one default version, and each version once")
    if not entries:
        raise InvalidDesire(f"{path}: expected at least one model")
    return entries


def reconcile(operator: Operator, desired: Sequence[Registration], picture: bytes, say: Callable[[str], None]) -> None:
    """Make what is registered what is desired; `say` is told of each change.

    Raises ServiceError, InvalidAction, NotDrained or SwapFailed at the first thing that does not succeed.
    """
    for name in dict.fromkeys(each.model for each in desired):
        _settle(operator, [each for each in desired if each.model == name], picture, say)
    wanted = {each.model for each in desired}
    for model in operator.models():
        if model.name not in wanted:
            _remove(operator, model, {each.version for each in model.versions}, say)


def _settle(operator: Operator, wanted: Sequence[Registration], picture: bytes, say: Callable[[str], None]) -> None:
    """Bring one model to its wanted versions."""
    name = wanted[0].model
    default = next(each for each in wanted if each.is_default)
    now = _find(operator, name)
    versions = {each.version for each in wanted}
    if now and now.default_version not in versions and default.version not in {each.version for each in now.versions}:
        say(f"{name}: {now.default_version} is exchanged for {default.version}")
        for _ in hot_swap(operator, name, default.archive, picture):
            pass
    for each in wanted:
        now = _find(operator, name)
        if now is None or each.version not in {known.version for known in now.versions}:
            say(f"{name} {each.version} is registered with {each.workers} workers")
            operator.register(each.archive, name, each.workers)
        elif now.version(each.version).min_workers != each.workers:
            say(f"{name} {each.version} gets {each.workers} workers")
            operator.scale(name, each.version, each.workers)
    now = operator.client.describe_model(name)
    if now.default_version != default.version:
        say(f"{name} is version {default.version} now")
        operator.set_default(name, default.version)
    _remove(operator, now, {each.version for each in now.versions} - versions, say)


def _find(operator: Operator, name: str) -> Model | None:
    return next((model for model in operator.models() if model.name == name), None)


def _remove(operator: Operator, model: Model, versions: set[str], say: Callable[[str], None]) -> None:
    """Unregister versions once they have answered what they had; the default one last, as TorchServe wants it."""
    for version in sorted(versions, key=lambda each: each == model.default_version):
        say(f"{model.name} {version} is removed")
        drain(operator.client, model.name, version)
        operator.unregister(model.name, version)


class Reconciler:
    """Keeps a server at what a file asks for, in a thread of its own."""

    def __init__(self, operator: Operator, path: Path, picture: bytes, say: Callable[[str], None]) -> None:
        self._operator, self._path, self._picture, self._say = operator, path, picture, say
        self._done: tuple[Registration, ...] | None = None
        self._thread: threading.Thread | None = None
        self._failed_at = -AGAIN_SECONDS
        self._failed: object = None

    def look(self) -> None:
        """Read the file, and begin to put right what differs from it, unless that is going on."""
        if self._thread and self._thread.is_alive():
            return
        try:
            desired = read_desired(self._path)
        except InvalidDesire as error:
            self._complain(str(error), str(error))
            return
        recently = desired == self._failed and time.monotonic() - self._failed_at < AGAIN_SECONDS
        if desired != self._done and not recently:
            self._thread = threading.Thread(target=self._work, args=(desired,), daemon=True)
            self._thread.start()

    def _work(self, desired: tuple[Registration, ...]) -> None:
        try:
            reconcile(self._operator, desired, self._picture, self._say)
            self._done = desired
        except (ServiceError, InvalidAction, NotDrained, SwapFailed) as error:
            self._failed_at = time.monotonic()
            self._complain(desired, f"what {self._path.name} asks for could not be had: {error}")

    def _complain(self, about: object, text: str) -> None:
        """Say once what is wrong."""
        if about != self._failed or isinstance(about, tuple):
            self._say(text)
        self._failed = about
