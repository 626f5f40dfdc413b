"""Keeps the registered versions equal to those in a file. Several servers that read the file serve the same models.

The file is a list of registrations, see registration.py. A change of it loses no request: a new version is loaded and
tested before it becomes the default, and an old version is removed when it has answered its requests.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from server.container.registration import Registration
from service.drain import NotDrained, wait_until_drained
from service.errors import ServiceError
from service.operator import InvalidAction, Operator
from service.records import Model
from service.swap import SwapFailed, hot_swap

RETRY_SECONDS = 120.0  # after a failure, unless the file changes before

Log = Callable[[str], None]


class InvalidDesiredState(Exception):
    """The file is not a valid list of registrations."""


def read_desired(path: Path) -> tuple[Registration, ...]:
    """The registrations in the file. Raises InvalidDesiredState."""
    try:
        registrations = tuple(Registration(**entry) for entry in json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise InvalidDesiredState(
            f"{path}: expected a list of objects with {', '.join(Registration.__annotations__)}: {error}"
        ) from error
    for name in {registration.model for registration in registrations}:
        own = [registration for registration in registrations if registration.model == name]
        versions = {registration.version for registration in own}
        if sum(registration.is_default for registration in own) != 1 or len(versions) < len(own):
            raise InvalidDesiredState(f"{path}: {name} should have one default version, and each version once")
    if not registrations:
        raise InvalidDesiredState(f"{path}: expected at least one model")
    return registrations


def reconcile(operator: Operator, desired: Sequence[Registration], picture: bytes, log: Log) -> None:
    """Change the registered versions to the desired ones; `log` is called with each change.

    Raises ServiceError, InvalidAction, NotDrained or SwapFailed at the first change that fails.
    """
    for name in dict.fromkeys(registration.model for registration in desired):
        _reconcile_model(operator, [entry for entry in desired if entry.model == name], picture, log)
    names = {registration.model for registration in desired}
    for model in operator.models():
        if model.name not in names:
            _remove(operator, model, {version.version for version in model.versions}, log)


def _reconcile_model(operator: Operator, desired: Sequence[Registration], picture: bytes, log: Log) -> None:
    """Change one model's versions to the desired ones."""
    name = desired[0].model
    default = next(registration for registration in desired if registration.is_default)
    desired_versions = {registration.version for registration in desired}
    model = _find(operator, name)
    if model and model.default_version not in desired_versions and default.version not in _versions(model):
        log(f"{name}: swapping {model.default_version} for {default.version}")
        for _ in hot_swap(operator, name, default.archive, picture):
            pass
    for registration in desired:
        _provide_version(operator, registration, log)
    model = operator.client.describe_model(name)
    if model.default_version != default.version:
        log(f"{name}: {default.version} becomes the default version")
        operator.set_default(name, default.version)
    _remove(operator, model, _versions(model) - desired_versions, log)


def _provide_version(operator: Operator, desired: Registration, log: Log) -> None:
    """Register a version that is missing, or give it the desired number of workers."""
    name, version, workers = desired.model, desired.version, desired.workers
    model = _find(operator, name)
    if model is None or version not in _versions(model):
        log(f"{name} {version}: registering with {workers} workers")
        operator.register(desired.archive, name, workers)
    elif model.version(version).min_workers != workers:
        log(f"{name} {version}: scaling to {workers} workers")
        operator.scale(name, version, workers)


def _find(operator: Operator, name: str) -> Model | None:
    return next((model for model in operator.models() if model.name == name), None)


def _versions(model: Model) -> set[str]:
    return {version.version for version in model.versions}


def _remove(operator: Operator, model: Model, versions: set[str], log: Log) -> None:
    """Unregister versions when they have answered their requests; the default version last, as TorchServe requires."""
    for version in sorted(versions, key=lambda version: version == model.default_version):
        log(f"{model.name} {version}: removing")
        wait_until_drained(operator.client, model.name, version)
        operator.unregister(model.name, version)


class Reconciler:
    """Keeps a server's registered versions equal to those in a file; the changes are made in a thread of its own."""

    def __init__(self, operator: Operator, path: Path, picture: bytes, log: Log) -> None:
        self._operator, self._path, self._picture, self._log = operator, path, picture, log
        self._thread: threading.Thread | None = None
        self._reached: tuple[Registration, ...] | None = None
        self._failed: tuple[Registration, ...] | None = None
        self._failed_at = 0.0
        self._invalid = ""

    def check(self) -> None:
        """Read the file and start a thread for its changes, unless the last one still runs."""
        if self._thread and self._thread.is_alive():
            return
        try:
            desired = read_desired(self._path)
        except InvalidDesiredState as error:
            self._report_invalid(str(error))
            return
        failed_recently = desired == self._failed and time.monotonic() - self._failed_at < RETRY_SECONDS
        if desired != self._reached and not failed_recently:
            self._thread = threading.Thread(target=self._reconcile, args=(desired,), daemon=True)
            self._thread.start()

    def _reconcile(self, desired: tuple[Registration, ...]) -> None:
        try:
            reconcile(self._operator, desired, self._picture, self._log)
            self._reached = desired
        except (ServiceError, InvalidAction, NotDrained, SwapFailed) as error:
            self._failed, self._failed_at, self._invalid = desired, time.monotonic(), ""
            self._log(f"the state in {self._path.name} was not reached: {error}")

    def _report_invalid(self, error: str) -> None:
        """Log an invalid file once, not every time that it is read."""
        if error != self._invalid:
            self._log(error)
        self._failed, self._invalid = None, error
