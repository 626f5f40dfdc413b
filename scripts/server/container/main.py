"""A container's process: TorchServe with the models it is for, watched, and stopped in order.

It ends when TorchServe ends, for the restart policy to start both anew, with what was registered by then.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from archiver.cli import archive_name
from server.arguments import FALLBACK, add_choice
from server.container.desired_state import InvalidDesire, Reconciler, read_desired
from server.container.health import HealthServer, canary, problems_of
from server.container.registration import Registration, load, registrations, restore, save
from server.runtime.settings import Settings
from server.runtime.torchserve import Server, ServerError, start, stop
from service.client import Client, ServiceError, Unreachable
from service.drain import NotDrained, drain
from service.environment import SettingsError
from service.operator import InvalidAction, Operator

LOOK_SECONDS, BRIEFLY = 5.0, 0.5
RESTORE_SECONDS = 180.0  # what is not up by then is left as it is
SILENT_SECONDS = 45.0  # then a server that is there and does not answer is given up
FINISH_SECONDS = 40.0  # of the 60 that compose.yaml gives
NOTICE_SECONDS = 2.0  # a proxy looks every half a second: deploy/kubernetes/proxy/haproxy.cfg
WRITE_SECONDS = 0.3  # for the last answers to leave the server


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until a signal to end (0), or until TorchServe ends by itself (1)."""
    parser = argparse.ArgumentParser(prog="container", description=__doc__)
    add_choice(parser)
    arguments = parser.parse_args(argv)
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    try:
        settings = Settings.from_environment()
        names = [archive_name(model, arguments.precision) for model in arguments.models]
        keeper = Keeper(settings, names, archive_name(FALLBACK, arguments.precision))
        return keeper.serve(ending)
    except (SettingsError, ServerError, InvalidDesire, OSError) as error:
        print(f"container: {error}", file=sys.stderr)
        return 1


class Keeper:
    """Keeps one TorchServe: starts it as it was, watches it, remembers what is registered."""

    def __init__(self, settings: Settings, names: Sequence[str], fallback: str) -> None:
        self.settings, self.names, self.fallback = settings, list(names), fallback
        self.memory = settings.run / "registered.json"
        key_file = settings.key_file if settings.tokens else None
        self.client = Client(settings.inference_url, settings.management_url, key_file)
        desired = os.environ.get("DESIRED_STATE")
        self.desired = Path(desired) if desired else None
        self.reconciler = Reconciler(Operator(self.client), self.desired, canary(), _say) if self.desired else None

    def serve(self, ending: threading.Event) -> int:
        """Start, watch, stop."""
        self.settings.run.mkdir(parents=True, exist_ok=True)
        before = self._before()
        archives = self._archives(before)
        health = HealthServer(os.environ.get("HEALTH_HOST", "127.0.0.1"), int(os.environ.get("HEALTH_PORT", "8083")))
        server = start(self.settings, archives)
        try:
            self._watch(server, health, before, ending)
        finally:
            if ending.is_set() and server.process():
                health.tell(["stopping"])
                self._finish()
            health.close()
            stop(self.settings, server)
        if not ending.is_set():
            raise ServerError("TorchServe ended by itself")
        return 0

    def _before(self) -> list[Registration]:
        """What should be registered, or was last, and can be."""
        before = []
        for each in read_desired(self.desired) if self.desired else load(self.memory, self.names):
            if (self.settings.model_store / each.archive).is_file():
                before.append(each)
            else:
                _say(f"{each.model} {each.version} NOT SERVED: {each.archive} is not in the model store")
        return before

    def _archives(self, before: Sequence[Registration]) -> list[tuple[str, Path]]:
        """What to start with: what was registered before, else the wanted models, else the one that is always there."""
        store = self.settings.model_store
        if before:
            return [(each.model, store / each.archive) for each in before]
        found = [name for name in self.names if (store / f"{name}.mar").is_file()]
        for name in self.names:
            if name not in found:
                _say(f"{name} NOT SERVED: {name}.mar is not in the model store")
        if not found and (store / f"{self.fallback}.mar").is_file():
            _say(f"serving {self.fallback} instead")
            found = [self.fallback]
        if not found:
            raise ServerError(f"none of {', '.join(self.names)} has an archive in {store}")
        return [(name, store / f"{name}.mar") for name in found]

    def _watch(
        self, server: Server, health: HealthServer, before: Sequence[Registration], ending: threading.Event
    ) -> None:
        """Look at the service every few seconds until it ends or should."""
        known = set(server.models)  # of these any trouble counts, of what is registered later once it was ready
        seen: set[str] = set()
        restored, deadline = False, time.monotonic() + RESTORE_SECONDS
        answered = deadline  # by then it should have answered once
        while server.process() and not ending.is_set():
            try:
                if not restored and (self._is_up(server.models, before) or time.monotonic() > deadline):
                    for failure in restore(Operator(self.client), before):
                        _say(f"not as it was before: {failure}")
                    restored = True
                models = self.client.describe_all()
                answered = time.monotonic()
                if restored:  # from now on operators, or the file, decide what is registered
                    known -= seen - {model.name for model in models}
                    self._remember(registrations(models))
                    if self.reconciler:
                        self.reconciler.look()
                seen |= {model.name for model in models if model.state == "ready"}
                known |= seen & {model.name for model in models}
                problems = problems_of(self.client, models, known)
            except (ServiceError, InvalidAction) as error:
                problems = [str(error)]
                if isinstance(error, Unreachable) and time.monotonic() - answered > SILENT_SECONDS:
                    raise ServerError(f"TorchServe has not answered for {SILENT_SECONDS:.0f} s") from error
            if not restored:
                problems = problems or ["restoring"]
            said = health.tell(problems).problems
            if tuple(problems) != said:
                _say(f"not ready: {'; '.join(problems)}" if problems else "ready")
            pause = time.monotonic() + (LOOK_SECONDS if restored else BRIEFLY)
            while time.monotonic() < pause and server.process() and not ending.wait(BRIEFLY):
                pass

    def _finish(self) -> None:
        """Take no more requests, and wait until those in work are answered.

        strategy: TorchServe cannot be told to stop listening, and at its end drops what it has. But a renewed token
        shuts out whoever holds the old one, before the queue: clients see what they see after any restart.
        """
        try:
            if self.settings.tokens:
                self.client.renew("inference")
                _withhold(self.settings.key_file)
            else:  # whoever sends requests here has to notice that this is stopping, and send them elsewhere
                time.sleep(NOTICE_SECONDS)
            versions = [(model.name, each.version) for model in self.client.describe_all() for each in model.versions]
        except (ServiceError, OSError, ValueError, KeyError) as error:
            _say(f"stopping with requests in work: {error}")
            return
        deadline = time.monotonic() + FINISH_SECONDS
        for model, version in versions:
            try:
                drain(self.client, model, version, max(1.0, deadline - time.monotonic()))
            except (ServiceError, NotDrained) as error:
                _say(f"stopping, and {model} {version} may have requests in work: {error}")
        time.sleep(WRITE_SECONDS)

    def _is_up(self, expected: Sequence[str], before: Sequence[Registration]) -> bool:
        """Whether all that was started is registered and has a worker, but for what had none before."""
        unloaded = {(each.model, each.version) for each in before if each.workers == 0}
        models = {model.name: model for model in self.client.describe_all()}
        return all(name in models for name in expected) and all(
            version.ready_workers or (model.name, version.version) in unloaded
            for model in models.values()
            for version in model.versions
        )

    def _remember(self, registered: tuple[Registration, ...]) -> None:
        if registered != load(self.memory, self.names):
            save(self.memory, self.names, registered)


def _withhold(key_file: Path) -> None:
    """Take the token for inference out of the key file, so that nobody reads the new one."""
    content = json.loads(key_file.read_text())
    del content["inference"]
    key_file.write_text(json.dumps(content))


def _say(text: str) -> None:
    print(f"container: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
