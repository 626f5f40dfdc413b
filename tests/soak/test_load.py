"""What the service promises under more load than it can bear, and after very many requests.

SOAK_SECONDS (60) and SOAK_REQUESTS (10,000) say for how long; SOAK_MODEL which model, else yolov5n if it is at hand.
"""

from __future__ import annotations

import json
import os
import random
import socket
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import requests

from support.pictures import encoded
from support.running_service import Service, environment_for, running

SECONDS = float(os.environ.get("SOAK_SECONDS", "60"))
REQUESTS = int(os.environ.get("SOAK_REQUESTS", "10000"))
TIMEOUT = 130.0  # the service itself gives up after 120
SETTLED_SECONDS = 5.0
PAUSE = 0.05  # of a client that was told 503
MEMORY_GROWTH = 0.05
STEPS, LOOKS = 10, 3  # looks at the processes, and how many of them at each end make a mean
FILES_GROWTH = 4


@dataclass(frozen=True)
class Question:
    """A picture and the service's answer to it when nobody else asks."""

    picture: bytes
    answer: str


@dataclass(frozen=True)
class Footprint:
    """What a process holds: resident bytes and open files, sockets among them."""

    resident: int
    files: int


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A fresh service with one model and default settings."""
    with running([model_name()], environment_for(tmp_path)) as started:
        yield started


def model_name() -> str:
    folders = [Path(folder) for folder in os.environ.get("YOLOV5_WEIGHTS_DIR", "").split(os.pathsep) if folder]
    at_hand = any((folder / "yolov5n.pt").is_file() for folder in folders)
    return os.environ.get("SOAK_MODEL", "yolov5n" if at_hand else "shapes")


def pictures(count: int) -> list[bytes]:
    """Pictures of as many sizes, 48 to 1280 pixels a side, in all formats."""
    sizes = random.Random(0)
    forms = ["JPEG", "JPEG", "PNG", "WEBP", "BMP"]
    return [
        encoded(seed, forms[seed % len(forms)], (sizes.randint(48, 1280), sizes.randint(48, 1280)))
        for seed in range(count)
    ]


def session_of(service: Service) -> requests.Session:
    """A client of its own: one connection, no retries."""
    session = requests.Session()
    session.trust_env = False
    session.headers.update(service.headers)
    return session


def ask(session: requests.Session, service: Service, picture: bytes) -> requests.Response:
    return session.post(f"{service.inference_url}/predictions/{service.models[0]}", data=picture, timeout=TIMEOUT)


def without_clock(text: str) -> str:
    """An answer's text without the seconds it took."""
    document = json.loads(text)
    del document["time"], document["timings"]
    return json.dumps(document)


def alone(service: Service, count: int) -> list[Question]:
    with session_of(service) as session:
        answers = [(picture, ask(session, service, picture)) for picture in pictures(count)]
    assert {answer.status_code for _, answer in answers} == {200}
    assert any(answer.json()["detections"] for _, answer in answers)
    return [Question(picture, without_clock(answer.text)) for picture, answer in answers]


def outcome(session: requests.Session, service: Service, question: Question) -> str:
    """`answered` or `busy`; whatever else happened, in words."""
    try:
        response = ask(session, service, question.picture)
        if response.status_code == 200:
            return "answered" if without_clock(response.text) == question.answer else f"WRONG: {response.text[:300]}"
        document = response.json()
        refused = response.status_code == document["code"] == 503 and document["type"] and document["message"]
        return "busy" if refused else f"{response.status_code}: {response.text[:300]}"
    except (requests.RequestException, ValueError, KeyError) as error:
        return f"{type(error).__name__}: {error}"[:300]


def ask_at_once(
    service: Service, questions: Sequence[Question], clients: int, more: Callable[[], bool]
) -> Counter[str]:
    """Outcomes of so many clients, each with a connection of its own, that ask while `more()`."""
    outcomes: Counter[str] = Counter()
    lock = threading.Lock()

    def client(number: int) -> None:
        order = random.Random(number)
        with session_of(service) as session:
            while more():
                found = outcome(session, service, order.choice(questions))
                with lock:
                    outcomes[found] += 1
                if found == "busy":
                    time.sleep(PAUSE)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def at_most(count: int) -> Callable[[], bool]:
    """True so many times, for whichever thread asks."""
    left = iter(range(count))
    lock = threading.Lock()

    def more() -> bool:
        with lock:
            return next(left, None) is not None

    return more


def latency(service: Service, question: Question, times: int) -> float:
    """Median seconds of a lone client."""
    spent = []
    with session_of(service) as session:
        for _ in range(times):
            started = time.perf_counter()
            assert outcome(session, service, question) == "answered"
            spent.append(time.perf_counter() - started)
    return statistics.median(spent)


def settle(service: Service, question: Question, normal: float) -> tuple[float, float]:
    """Seconds until a lone client is served as before, and its median latency then; both measured from now on."""
    started = time.monotonic()
    while True:
        now = latency(service, question, 3)
        spent = time.monotonic() - started
        if now <= 1.5 * normal + 0.01 or spent > 4 * SETTLED_SECONDS:
            return spent, now


def disk(service: Service) -> tuple[int, int]:
    """Bytes that the service's folders hold: its logs, which are rolled over, and everything else."""
    temporary = Path(json.loads((service.run / "server.json").read_text())["temporary"])
    sizes = {path: path.lstat().st_size for folder in (service.run, temporary) for path in folder.rglob("*")}
    logs = sum(size for path, size in sizes.items() if path.suffix == ".log")
    return logs, sum(sizes.values()) - logs


def footprints(service: Service) -> dict[str, Footprint]:
    """Of the JVM and each worker, once no client is connected any more."""
    server = json.loads((service.run / "server.json").read_text())["pid"]
    pids = {"JVM": server, **{f"worker {pid}": pid for pid in service.worker_pids(service.models[0])}}
    time.sleep(2)
    return {
        name: Footprint(process.memory_info().rss, process.num_fds())
        for name, process in ((name, psutil.Process(pid)) for name, pid in pids.items())
    }


@pytest.mark.parametrize("clients", [64, 160])
def test_every_request_is_answered_or_told_that_the_service_is_busy(service: Service, clients: int) -> None:
    questions = alone(service, 24)
    workers = service.worker_pids(service.models[0])
    normal = latency(service, questions[0], 20)
    deadline = time.monotonic() + SECONDS
    started = time.monotonic()
    outcomes = ask_at_once(service, questions, clients, lambda: time.monotonic() < deadline)
    spent = time.monotonic() - started
    settled, after = settle(service, questions[0], normal)
    print(
        f"\n{service.models[0]}, {clients} clients for {spent:.0f} s: {outcomes.most_common(6)}, "
        f"{outcomes['answered'] / spent:.1f} answers/s; a lone client: {1000 * normal:.0f} ms before, "
        f"{1000 * after:.0f} ms after, {settled:.1f} s after the load"
    )
    assert set(outcomes) <= {"answered", "busy"}, outcomes
    assert outcomes["answered"] > SECONDS
    # The queue holds 100, each of the workers a batch or two besides.
    assert (outcomes["busy"] > 0) == (clients > 100)
    assert settled <= SETTLED_SECONDS
    assert service.worker_pids(service.models[0]) == workers


def test_clients_that_hang_up_hold_nobody_up_for_long(service: Service) -> None:
    questions = alone(service, 24)
    workers = service.worker_pids(service.models[0])
    normal = latency(service, questions[0], 20)
    before = footprints(service)
    for number in range(64):
        hang_up(service, questions[number % len(questions)].picture)
    settled, after = settle(service, questions[0], normal)
    held = footprints(service)
    print(
        f"\n{service.models[0]}, 64 clients that hung up: a lone client: {1000 * normal:.0f} ms before, "
        f"{1000 * after:.0f} ms after, {settled:.1f} s after they were gone; {held}"
    )
    assert settled <= SETTLED_SECONDS
    assert held["JVM"].files <= before["JVM"].files + FILES_GROWTH
    assert service.worker_pids(service.models[0]) == workers


def hang_up(service: Service, picture: bytes) -> None:
    """Ask, and go away without waiting for the answer."""
    host, port = service.inference_url.removeprefix("http://").split(":")
    lines = [f"POST /predictions/{service.models[0]} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(picture)}"]
    lines += [f"{name}: {value}" for name, value in service.headers.items()]
    with socket.create_connection((host, int(port)), timeout=TIMEOUT) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + picture)


def test_memory_open_files_and_disk_stay_as_they_are(service: Service) -> None:
    questions = alone(service, 100)
    logs_before, disk_before = disk(service)
    started = time.monotonic()
    outcomes: Counter[str] = Counter()
    history = []
    for _ in range(STEPS):
        outcomes += ask_at_once(service, questions, 8, at_most(REQUESTS // STEPS))
        history.append(footprints(service))
    print(
        f"\n{service.models[0]}, {outcomes.total()} requests of 8 clients in {time.monotonic() - started:.0f} s, "
        f"{outcomes.most_common(6)}; after each {REQUESTS // STEPS} of them"
    )
    logs_after, disk_after = disk(service)
    print(f"  disk: logs {logs_before} -> {logs_after} bytes, the rest {disk_before} -> {disk_after}")
    for name in history[0]:
        held = [step[name] for step in history if name in step]
        print(f"  {name}: MB {[round(each.resident / 1e6) for each in held]}, files {[each.files for each in held]}")
    assert outcomes == {"answered": REQUESTS // STEPS * STEPS}
    assert disk_after == disk_before
    assert logs_after - logs_before < 200 * outcomes.total()  # a line a request
    assert all(step.keys() == history[0].keys() for step in history)  # no worker was replaced
    for name in history[0]:
        files = [step[name].files for step in history]
        assert files[-1] <= files[0] + FILES_GROWTH, name
        # strategy: what a process keeps of the largest pictures moves by some percent from one look to the next, up
        # and down, so the mean of some looks is compared.
        resident = [step[name].resident for step in history]
        growth = statistics.mean(resident[-LOOKS:]) / statistics.mean(resident[:LOOKS]) - 1
        assert growth < MEMORY_GROWTH, f"{name}: {100 * growth:.1f} %"
