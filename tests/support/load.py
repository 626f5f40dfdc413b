"""Clients that put a service under load and check every answer, and what its processes hold meanwhile."""

from __future__ import annotations

import json
import random
import socket
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

from support.pictures import encoded
from support.running_service import Service

TIMEOUT = 130.0  # seconds; the service itself gives up after 120
GIVE_UP_SECONDS = 20.0
RETRY_SECONDS = 0.05  # the pause of a client after a 503


@dataclass(frozen=True)
class Case:
    """A picture, and the service's answer to it without other load."""

    picture: bytes
    answer: str


@dataclass(frozen=True)
class Footprint:
    """Resident bytes and open files (sockets included) of a process."""

    resident: int
    files: int


def pictures(count: int) -> list[bytes]:
    """Pictures of random sizes, 48 to 1280 pixels a side, in all formats."""
    sizes = random.Random(0)
    forms = ["JPEG", "JPEG", "PNG", "WEBP", "BMP"]
    return [
        encoded(seed, forms[seed % len(forms)], (sizes.randint(48, 1280), sizes.randint(48, 1280)))
        for seed in range(count)
    ]


def session_of(service: Service) -> requests.Session:
    """A client with one connection and no retries."""
    session = requests.Session()
    session.trust_env = False
    session.headers.update(service.headers)
    return session


def ask(session: requests.Session, service: Service, picture: bytes) -> requests.Response:
    return session.post(f"{service.inference_url}/predictions/{service.models[0]}", data=picture, timeout=TIMEOUT)


def without_clock(text: str) -> str:
    """An answer's text without its times."""
    document = json.loads(text)
    del document["time"], document["timings"]
    return json.dumps(document)


def lone_answers(service: Service, count: int) -> list[Case]:
    with session_of(service) as session:
        answers = [(picture, ask(session, service, picture)) for picture in pictures(count)]
    assert {answer.status_code for _, answer in answers} == {200}
    assert any(answer.json()["detections"] for _, answer in answers)
    return [Case(picture, without_clock(answer.text)) for picture, answer in answers]


def outcome(session: requests.Session, service: Service, case: Case) -> str:
    """`answered` or `busy`; a description of anything else."""
    try:
        response = ask(session, service, case.picture)
        if response.status_code == 200:
            return "answered" if without_clock(response.text) == case.answer else f"WRONG: {response.text[:300]}"
        document = response.json()
        refused = response.status_code == document["code"] == 503 and document["type"] and document["message"]
        return "busy" if refused else f"{response.status_code}: {response.text[:300]}"
    except (requests.RequestException, ValueError, KeyError) as error:
        return f"{type(error).__name__}: {error}"[:300]


def ask_at_once(service: Service, cases: Sequence[Case], clients: int, more: Callable[[], bool]) -> Counter[str]:
    """Outcomes of `clients` clients, each with its own connection, that send requests while `more()` is true."""
    outcomes: Counter[str] = Counter()
    lock = threading.Lock()

    def client(number: int) -> None:
        order = random.Random(number)
        with session_of(service) as session:
            while more():
                result = outcome(session, service, order.choice(cases))
                with lock:
                    outcomes[result] += 1
                if result == "busy":
                    time.sleep(RETRY_SECONDS)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def at_most(count: int) -> Callable[[], bool]:
    """A function that is true `count` times in all, whichever thread calls it."""
    left = iter(range(count))
    lock = threading.Lock()

    def more() -> bool:
        with lock:
            return next(left, None) is not None

    return more


def latency(service: Service, case: Case, times: int) -> float:
    """Median seconds of a lone client."""
    spent = []
    with session_of(service) as session:
        for _ in range(times):
            started = time.perf_counter()
            assert outcome(session, service, case) == "answered"
            spent.append(time.perf_counter() - started)
    return statistics.median(spent)


def seconds_until_settled(service: Service, case: Case, normal: float) -> tuple[float, float]:
    """Seconds until a lone client's latency is normal again, and its median latency then."""
    started = time.monotonic()
    while True:
        now = latency(service, case, 3)
        spent = time.monotonic() - started
        if now <= 1.5 * normal + 0.01 or spent > GIVE_UP_SECONDS:
            return spent, now


def disk_bytes(service: Service) -> tuple[int, int]:
    """Bytes in the service's folders: of its logs, which are rotated, and of everything else."""
    temporary = Path(json.loads((service.run / "server.json").read_text())["temporary"])
    sizes = {path: path.lstat().st_size for folder in (service.run, temporary) for path in folder.rglob("*")}
    logs = sum(size for path, size in sizes.items() if path.suffix == ".log")
    return logs, sum(sizes.values()) - logs


def footprints(service: Service) -> dict[str, Footprint]:
    """The JVM's and each worker's, after all clients have disconnected."""
    server = json.loads((service.run / "server.json").read_text())["pid"]
    pids = {"JVM": server, **{f"worker {pid}": pid for pid in service.worker_pids(service.models[0])}}
    time.sleep(2)
    return {
        name: Footprint(process.memory_info().rss, process.num_fds())
        for name, process in ((name, psutil.Process(pid)) for name, pid in pids.items())
    }


def hang_up(service: Service, picture: bytes) -> None:
    """Send a request and close the connection without waiting for the answer."""
    host, port = service.inference_url.removeprefix("http://").split(":")
    lines = [f"POST /predictions/{service.models[0]} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(picture)}"]
    lines += [f"{name}: {value}" for name, value in service.headers.items()]
    with socket.create_connection((host, int(port)), timeout=TIMEOUT) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + picture)
