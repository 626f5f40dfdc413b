"""One TorchServe in a container: started with its last registrations, watched, and stopped in order."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from server.container.desired_state import Reconciler, read_desired
from server.container.health import HealthServer, canary, find_problems
from server.container.registration import Registration, load, registrations, restore, save
from server.container.shutdown import finish_requests
from server.container.watch import SILENT_SECONDS, Observation, Watch
from server.runtime.errors import ServerError
from server.runtime.settings import Settings
from server.runtime.torchserve import Server, start_server, stop_server
from service.client import Client
from service.errors import ServiceError
from service.operator import InvalidAction, Operator

OBSERVE_SECONDS = 5.0
STARTING_OBSERVE_SECONDS = 0.5  # until the registrations are restored
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class ContainerSettings:
    """Settings of the container, besides those of the server.

    archives: the names of the requested archives; fallback: the archive to serve if none of them exists.
    desired_state: a file with the desired registrations, or None. health_host, health_port: for /ready and /live.
    """

    archives: tuple[str, ...]
    fallback: str
    desired_state: Path | None
    health_host: str
    health_port: int


class ContainerService:
    """Starts one TorchServe, watches it, and saves its registrations."""

    def __init__(self, settings: Settings, container: ContainerSettings) -> None:
        self.settings, self.container = settings, container
        self.key_file = settings.key_file if settings.tokens else None
        self.client = Client(settings.inference_url, settings.management_url, self.key_file)
        self.operator = Operator(self.client)
        self.saved_file = settings.run / "registered.json"
        self.saved: tuple[Registration, ...] = ()
        desired = container.desired_state
        self.reconciler = Reconciler(self.operator, desired, canary(), log) if desired else None

    def serve(self, stop: threading.Event) -> None:
        """Serve until `stop` is set. Raises ServerError if TorchServe ends before."""
        self.settings.run.mkdir(parents=True, exist_ok=True)
        self.saved = self.registrations_to_restore()
        archives = self.archives_to_start()
        health = HealthServer(self.container.health_host, self.container.health_port)
        server = start_server(self.settings, archives)
        watch = Watch.started(server.models, time.monotonic())
        try:
            watch = self._watch(server, health, watch, stop)
        finally:
            if stop.is_set() and server.process():
                health.report(watch.stopping().problems)
                finish_requests(self.client, self.key_file, log)
            health.close()
            stop_server(self.settings, server)
        if not stop.is_set():
            raise ServerError("TorchServe ended by itself")

    def registrations_to_restore(self) -> tuple[Registration, ...]:
        """The desired registrations, or else the saved ones, without those whose archive is missing."""
        desired = self.container.desired_state
        registered = []
        for registration in read_desired(desired) if desired else load(self.saved_file, self.container.archives):
            if (self.settings.model_store / registration.archive).is_file():
                registered.append(registration)
            else:
                log(
                    f"{registration.model} {registration.version} NOT SERVED: "
                    f"{registration.archive} is not in the model store"
                )
        return tuple(registered)

    def archives_to_start(self) -> list[tuple[str, Path]]:
        """Names and archives to start with: those to restore, else the requested ones, else the fallback."""
        store, names, fallback = self.settings.model_store, self.container.archives, self.container.fallback
        if self.saved:
            return [(registration.model, store / registration.archive) for registration in self.saved]
        existing = [name for name in names if (store / f"{name}.mar").is_file()]
        for name in names:
            if name not in existing:
                log(f"{name} NOT SERVED: {name}.mar is not in the model store")
        if not existing and (store / f"{fallback}.mar").is_file():
            log(f"serving {fallback} instead")
            existing = [fallback]
        if not existing:
            raise ServerError(f"none of {', '.join(names)} has an archive in {store}")
        return [(name, store / f"{name}.mar") for name in existing]

    def _watch(self, server: Server, health: HealthServer, watch: Watch, stop: threading.Event) -> Watch:
        """Observe the server every few seconds until it ends or `stop` is set. Returns the last state."""
        while server.process() and not stop.is_set():
            before, watch = watch, self.observe(watch)
            if watch.phase == "silent":
                raise ServerError(f"TorchServe has not answered for {SILENT_SECONDS:.0f} s")
            health.report(watch.problems)
            if watch.problems != before.problems:
                log(f"not ready: {'; '.join(watch.problems)}" if watch.problems else "ready")
            resume = time.monotonic() + (OBSERVE_SECONDS if watch.is_restored else STARTING_OBSERVE_SECONDS)
            while time.monotonic() < resume and server.process() and not stop.wait(POLL_SECONDS):
                pass
        return watch

    def observe(self, watch: Watch) -> Watch:
        """Observe the server once: restore or save its registrations, and check its health."""
        try:
            observation = self._observation()
            if watch.should_restore(observation, self.saved):
                for failure in restore(self.operator, self.saved):
                    log(f"not restored: {failure}")
                watch = watch.restored()
                observation = self._observation()
            watch = watch.observed(observation)
            if watch.is_restored:
                self._save(registrations(observation.models))
                if self.reconciler:
                    self.reconciler.check()
            return watch.checked(find_problems(self.client, observation.models, watch.expected))
        except (ServiceError, InvalidAction) as error:
            return watch.observed(Observation(time.monotonic(), error=error))

    def _observation(self) -> Observation:
        models = tuple(self.client.describe_all())
        return Observation(time.monotonic(), models)

    def _save(self, registered: Sequence[Registration]) -> None:
        if tuple(registered) != load(self.saved_file, self.container.archives):
            save(self.saved_file, self.container.archives, registered)


def log(text: str) -> None:
    """Write a line to the container's log."""
    print(f"container: {text}", file=sys.stderr, flush=True)
