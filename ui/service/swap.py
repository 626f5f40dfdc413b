"""Replacing the default version of a model under load, without a failed request.

TorchServe drops the requests that a version has queued or in its workers when the version is removed (the client waits
until its own timeout, or gets "Worker died."). So the old version is removed only after it was seen idle.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from service.answers import Answer
from service.drain import NotDrained, version_of, wait_until_drained
from service.errors import ServiceError
from service.operator import InvalidAction, Operator
from service.records import Version

START_SECONDS = 180.0
POLL_SECONDS = 0.1


class SwapFailed(Exception):
    """The swap failed. The message gives the reason, and whether the old version serves as before."""


@dataclass(frozen=True)
class Step:
    """A step of a swap, reported when it begins and when it ends."""

    name: str
    state: Literal["running", "done", "failed"]
    text: str = ""


def hot_swap(operator: Operator, model: str, archive: str, image: bytes) -> Iterator[Step]:
    """Replace the default version of `model` by `archive`, a file name in the model store.

    Registers the archive with the same number of workers, tests it with `image`, makes it the default, waits until the
    old version has answered all its requests, and removes it. Yields each step as it begins and ends; the caller must
    consume all of them. Raises SwapFailed; unless its message says otherwise, the new version is then removed and the
    old one is the default.
    """
    operator.check()
    # A swap that has begun is completed, even if the operator's permission is withdrawn meanwhile.
    swap = _Swap(Operator(operator.client), model, archive, image)
    yield from swap.bring_up()
    yield from swap.take_down()


class _Swap:
    def __init__(self, operator: Operator, model: str, archive: str, image: bytes) -> None:
        self.operator, self.model, self.archive, self.image = operator, model, archive, image
        self.client = operator.client
        before = self.client.describe_model(model)
        self.known = {version.version for version in before.versions}
        self.old = before.default
        self.workers = max(1, self.old.min_workers)
        self.new = ""

    def bring_up(self) -> Iterator[Step]:
        """Make the archive the default version; roll back if a step fails."""
        name = ""
        try:
            for name, work in (
                ("Register", self._register),
                ("Wait until ready", self._wait_until_ready),
                ("Try a picture", self._try),
                ("Set default", self._set_default),
            ):
                yield Step(name, "running")
                yield Step(name, "done", work())
        except (ServiceError, InvalidAction, NotDrained, SwapFailed) as error:
            yield Step(name, "failed", str(error))
            yield from self._roll_back(str(error).rstrip("."))

    def take_down(self) -> Iterator[Step]:
        """Remove the old version after it is idle. If that fails, the new version serves and the old one stays."""
        name = "Drain"
        try:
            yield Step(name, "running")
            yield Step(name, "done", wait_until_drained(self.client, self.model, self.old.version))
            name = "Remove"
            yield Step(name, "running")
            self.operator.unregister(self.model, self.old.version)
            yield Step(name, "done", f"version {self.old.version} is removed")
        except (ServiceError, NotDrained, SwapFailed) as error:
            yield Step(name, "failed", str(error))
            raise SwapFailed(
                f"{self.model} {self.new} is the default and serves; version {self.old.version} is still registered, "
                f"remove it later: {error}"
            ) from error

    def _register(self) -> str:
        try:
            self.operator.register(self.archive, self.model, self.workers)
        finally:
            self.new = self._added_version()
        if not self.new:
            raise SwapFailed(f"registering {self.archive} added no version of {self.model}")
        return f"version {self.new} with {_workers(self.workers)}"

    def _added_version(self) -> str:
        """The version that was not registered before the swap, or an empty text."""
        try:
            model = self.client.describe_model(self.model)
        except ServiceError:
            return ""
        return next((entry.version for entry in model.versions if entry.version not in self.known), "")

    def _wait_until_ready(self) -> str:
        deadline = time.monotonic() + START_SECONDS
        while True:
            version = self._version(self.new)
            if version.is_ready:
                return _workers(version.ready_workers) + " ready"
            if time.monotonic() > deadline:
                raise SwapFailed(
                    f"version {self.new} has {version.ready_workers} of {_workers(self.workers)} after "
                    f"{START_SECONDS:.0f} s"
                )
            time.sleep(POLL_SECONDS)

    def _try(self) -> str:
        answer = self.client.detect(self.model, self.image, self.new)
        _require_plausible(answer, self.model, self.new)
        return f"{len(answer.detections)} detections in {1000 * answer.time:.0f} ms"

    def _set_default(self) -> str:
        self.operator.set_default(self.model, self.new)
        _require_plausible(self.client.detect(self.model, self.image), self.model, self.new)
        return f"version {self.new} is the default of {self.model}"

    def _version(self, version: str) -> Version:
        return version_of(self.client, self.model, version)

    def _roll_back(self, reason: str) -> Iterator[Step]:
        yield Step("Roll back", "running")
        old = f"version {self.old.version} of {self.model}"
        try:
            self._undo()
        except (ServiceError, NotDrained, SwapFailed) as error:
            yield Step("Roll back", "failed", str(error))
            raise SwapFailed(f"{reason}. The rollback failed too; check the list of versions: {error}") from error
        yield Step("Roll back", "done", f"{old} serves as before")
        raise SwapFailed(f"{reason}. Nothing has changed: {old} serves as before")

    def _undo(self) -> None:
        new = self.new or self._added_version()
        model = self.client.describe_model(self.model)
        if model.default_version != self.old.version:
            self.operator.set_default(self.model, self.old.version)
        if new:
            if model.version(new).ready_workers:
                wait_until_drained(self.client, self.model, new)
            self.operator.unregister(self.model, new)


def _require_plausible(answer: Answer, model: str, version: str) -> None:
    """Raises SwapFailed for an answer of another version, or with a box or confidence that is out of range."""
    width, height = answer.size_wh
    if (answer.model, answer.version) != (model, version):
        raise SwapFailed(f"version {version} was asked and {answer.model} {answer.version} answered")
    for detection in answer.detections:
        x_min, y_min, x_max, y_max = detection.xyxy
        inside = 0 <= x_min <= x_max <= width and 0 <= y_min <= y_max <= height
        if not inside or not 0 <= detection.confidence <= 1:
            raise SwapFailed(f"version {version} answers with an impossible detection: {detection}")


def _workers(count: int) -> str:
    return f"{count} worker" + ("" if count == 1 else "s")
