"""A service whose store has versions to change to, and clients that ask it all the time."""

from __future__ import annotations

import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from service.client import Client, ServiceError
from support.pictures import encoded
from support.running_service import Service, command, environment_for

CLIENTS = 8
PICTURE = encoded(0, "PNG", (320, 240))


def stocked_environment(folder: Path, **more: str) -> dict[str, str]:
    """An environment whose store has `shapes` 2.0, 3.0 and, as broken.mar, a 4.0 whose network is damaged."""
    environment = environment_for(folder, UI_OPERATOR_PASSWORD="secret", **more)
    store = Path(environment["MODEL_STORE"])
    for version in ("2.0", "3.0"):
        words = ("archive", "shapes", "--version", version, "--model-store", str(store))
        done = command(*words, environment=environment)
        assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(store / "shapes-3.0.mar") as whole, zipfile.ZipFile(store / "broken.mar", "w") as broken:
        for name in whole.namelist():
            broken.writestr(name, b"<net" if name == "model.xml" else whole.read(name).replace(b'"3.0"', b'"4.0"'))
    return environment


class Load:
    """What clients that ask all the time were answered: how often each version did, and what failed."""

    def __init__(self) -> None:
        self.versions: Counter[str] = Counter()
        self.failures: list[str] = []
        self.last_seen: dict[str, float] = {}


@contextmanager
def asking(service: Service) -> Iterator[Load]:
    """Clients of a service, see asking_at."""
    with asking_at(service.inference_url, service.run / "key_file.json") as load:
        yield load


@contextmanager
def asking_at(inference_url: str, key_file: Path) -> Iterator[Load]:
    """Clients that post pictures for as long as the block runs, without ever trying a failed one again."""
    load, ending = Load(), threading.Event()

    def ask() -> None:
        client = Client(inference_url, key_file=key_file, retries=0)
        while not ending.is_set():
            try:
                answer = client.detect("shapes", PICTURE)
            except ServiceError as error:
                load.failures.append(f"{type(error).__name__} {error.status}: {error}")
            else:
                load.versions[answer.version] += 1
                load.last_seen[answer.version] = time.monotonic()

    with at_work(ask, ending, 0.5):
        yield load


@contextmanager
def at_work(ask: Callable[[], None], ending: threading.Event, margin: float) -> Iterator[None]:
    """Clients that each run `ask`, some seconds longer than the block at both ends; `ending` is set then.

    What one of them raises is raised here.
    """
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(ask) for _ in range(CLIENTS)]
        try:
            time.sleep(margin)
            yield
            time.sleep(margin)
        finally:
            ending.set()
    for each in clients:
        each.result()


def versions(service: Service) -> dict[str, tuple[str, int]]:
    """State and number of ready workers of each registered version of `shapes`."""
    model = service.client.describe_model("shapes")
    return {each.version: (each.state, each.ready_workers) for each in model.versions}
