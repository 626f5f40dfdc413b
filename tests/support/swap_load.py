"""A service whose store has several versions of a model, and clients that send requests all the time."""

from __future__ import annotations

import shutil
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from service.client import Client
from service.errors import ServiceError
from support.clients import running_clients
from support.pictures import encoded
from support.running_service import Service, embedded_archive, environment_for

PICTURE = encoded(0, "PNG", (320, 240))


def stocked_environment(folder: Path, **more: str) -> dict[str, str]:
    """An environment whose store has `shapes` 2.0, 3.0 and, as broken.mar, a 4.0 whose network is damaged."""
    environment = environment_for(folder, UI_OPERATOR_PASSWORD="secret", **more)
    store = Path(environment["MODEL_STORE"])
    for version in ("2.0", "3.0"):
        shutil.copy2(embedded_archive(version), store)
    with zipfile.ZipFile(store / "shapes-3.0.mar") as whole, zipfile.ZipFile(store / "broken.mar", "w") as broken:
        for name in whole.namelist():
            broken.writestr(name, b"<net" if name == "model.xml" else whole.read(name).replace(b'"3.0"', b'"4.0"'))
    return environment


class Load:
    """The outcomes of all clients: the number of answers of each version, the time of the last one, the failures."""

    def __init__(self) -> None:
        self.versions: Counter[str] = Counter()
        self.last_answer_at: dict[str, float] = {}
        self.failures: list[str] = []


@contextmanager
def load_on(service: Service) -> Iterator[Load]:
    """Load on a service, see load_on_url."""
    with load_on_url(service.inference_url, service.run / "key_file.json") as load:
        yield load


@contextmanager
def load_on_url(inference_url: str, key_file: Path) -> Iterator[Load]:
    """Clients that send pictures for as long as the block runs, and never retry a failed request."""
    load = Load()

    def new_client() -> Callable[[], None]:
        client = Client(inference_url, key_file=key_file, retries=0)

        def send() -> None:
            try:
                answer = client.detect("shapes", PICTURE)
            except ServiceError as error:
                load.failures.append(f"{type(error).__name__} {error.status}: {error}")
            else:
                load.versions[answer.version] += 1
                load.last_answer_at[answer.version] = time.monotonic()

        return send

    with running_clients(new_client):
        yield load


def versions(service: Service) -> dict[str, tuple[str, int]]:
    """State and number of ready workers of each registered version of `shapes`."""
    model = service.client.describe_model("shapes")
    return {version.version: (version.state, version.ready_workers) for version in model.versions}
