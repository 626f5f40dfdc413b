"""Attacks on the running stack. Each test passes only if its attack fails, and others are served meanwhile."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
import requests
from playwright.sync_api import Browser, expect

from service.client import Busy, Client, Failed, InvalidToken, Refused, ServiceError
from support.browser.visits import visiting
from support.hostile_pictures import noise, png_bomb, saved
from support.pictures import crowded, encoded
from support.stack.stack import READY_SECONDS, Stack, docker

HIDDEN = ((8081, "/models", "modelName"), (8082, "/metrics", "# HELP"), (8083, "/ready", "problems"))
PICTURE = encoded(0, "PNG", (64, 64))


def addresses(stack: Stack, service: str) -> list[str]:
    networks = stack.inspect(service)["NetworkSettings"]["Networks"].values()
    return [network["IPAddress"] for network in networks]


def says(host: str, port: int, path: str, word: str, token: str) -> bool:
    """Whether what answers there is the service: on some networks something answers at every address."""
    try:
        answer = requests.get(f"http://{host}:{port}{path}", headers={"Authorization": f"Bearer {token}"}, timeout=3)
    except requests.RequestException:
        return False
    return word in answer.text


def served_meanwhile(stack: Stack, attack: Callable[[], None], most_seconds: float = 10.0) -> None:
    """Another client is answered right while the attack goes on, and within some seconds each time."""
    client = stack.client()
    expected = client.detect("shapes", crowded()).detections
    thread = threading.Thread(target=attack)
    thread.start()
    rounds = 0
    while thread.is_alive() or rounds < 5:
        started = time.monotonic()
        for _ in range(20):  # a full queue is told by a 503, and one comes again
            try:
                assert client.detect("shapes", crowded()).detections == expected
                break
            except Busy:
                continue
        else:
            pytest.fail("another client was turned away twenty times over")
        assert time.monotonic() - started < most_seconds
        rounds += 1
    thread.join()
    assert stack.health() == "healthy"


def test_only_inference_and_the_page_are_published(stack: Stack) -> None:
    published: dict[str, str] = {}
    for service in ("torchserve", "ui"):
        bindings = stack.inspect(service)["NetworkSettings"]["Ports"]
        published |= {port: entry[0]["HostIp"] for port, entry in bindings.items() if entry}
    assert published == {"8080/tcp": "127.0.0.1", "8501/tcp": "127.0.0.1"}


def test_management_and_metrics_cannot_be_reached_from_the_host(stack: Stack) -> None:
    keys = {name: entry["key"] for name, entry in stack.keys().items()}
    own = [*addresses(stack, "torchserve"), "127.0.0.1"]
    assert len(own) == 3
    # This is how one would reach them: the published network is one that the host is on.
    assert any(says(host, 8080, "/ping", "Healthy", keys["inference"]) for host in own)
    reached = [
        (host, port) for host in own for port, path, word in HIDDEN if says(host, port, path, word, keys["management"])
    ]
    assert reached == []


def test_management_cannot_be_reached_from_the_network_that_is_published(stack: Stack) -> None:
    code = (
        "import socket, sys\n"
        "for name, port in (('torchserve', 8080), ('torchserve', 8081), ('torchserve', 8082), ('torchserve', 8083)):\n"
        "    try: socket.create_connection((name, port), 2); print(port)\n"
        "    except OSError: pass\n"
    )
    image = stack.inspect("ui")["Config"]["Image"]
    words = ("run", "--rm", "--network", f"{stack.name}_edge", "--entrypoint", "python", image, "-c", code)
    assert docker(*words).stdout.split() == ["8080"]


@pytest.mark.parametrize("path", ["models", "management/models", "api/models", "..%2fmodels", "metrics", "token"])
def test_the_page_hands_no_api_through(stack: Stack, path: str) -> None:
    answer = requests.get(f"{stack.ui_url}/{path}", timeout=10)
    assert "modelName" not in answer.text
    assert "ts_inference" not in answer.text


@pytest.mark.parametrize(
    "method_path",
    [
        "GET /models",
        "POST /models?url=shapes.mar",
        "PUT /models/shapes?min_worker=9",
        "DELETE /models/shapes",
        "GET /workflows",
        "POST /workflows?url=x.war",
        "GET /token?type=inference",
        "GET /metrics",
    ],
)
def test_the_published_port_has_no_management(stack: Stack, method_path: str) -> None:
    before = stack.registered()
    method, path = method_path.split(" ")
    for token in (entry["key"] for entry in stack.keys().values()):
        answer = requests.request(
            method, stack.inference_url + path, headers={"Authorization": f"Bearer {token}"}, timeout=10
        )
        assert answer.status_code in (400, 404, 405)
    assert stack.registered() == before


@pytest.mark.parametrize("url", [
    "http://ui:8501/x.mar", "https://example.com/x.mar", "../etc/x.mar", "..%2F..%2Ftmp%2Fx.mar", "/tmp/x.mar",
    "file:///tmp/x.mar", "file:///model-store/../tmp/x.mar", "file:///model-store/..%2Ftmp%2Fx.mar",
    "file://localhost/etc/passwd", "s3://bucket/x.mar", "subfolder/../../tmp/x.mar"])  # fmt: skip
def test_nothing_outside_the_store_is_registered_even_with_the_token(stack: Stack, url: str) -> None:
    # The archive is a sound one: it is refused for where it lies.
    stack.python("torchserve", "import shutil; shutil.copy('/model-store/shapes.mar', '/tmp/x.mar')")
    before = stack.registered()
    status, text = stack.management("POST", f"/models?url={url}&model_name=stolen&initial_workers=1")
    assert status >= 400, text
    assert stack.registered() == before


@pytest.mark.parametrize("url", ["http://ui:8501/x.war", "file:///tmp/x.war", "shapes.mar", "x.war"])
def test_workflows_cannot_be_registered(stack: Stack, url: str) -> None:
    status, text = stack.management("POST", f"/workflows?url={url}&workflow_name=stolen")
    assert status >= 400, text
    assert json.loads(stack.management("GET", "/workflows")[1]).get("workflows", []) == []


def test_no_wrong_or_swapped_token_opens_anything(stack: Stack) -> None:
    keys = {name: entry["key"] for name, entry in stack.keys().items()}
    url = f"{stack.inference_url}/predictions/shapes"
    for token in (
        None,
        "",
        "wrong",
        keys["management"],
        keys["API"],
        keys["inference"][:-1],
        keys["inference"].upper(),
    ):
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        answer = requests.post(url, data=PICTURE, headers=headers, timeout=10)
        assert answer.status_code == 400
        assert answer.json()["type"] == "InvalidKeyException"
    for token in ("none", "wrong", keys["inference"], keys["API"]):
        for method, path in (("GET", "/models"), ("PUT", "/models/shapes?min_worker=9"), ("DELETE", "/models/shapes")):
            assert stack.management(method, path, token)[0] == 400
    for token in ("wrong", keys["inference"], keys["management"]):
        assert stack.management("GET", "/token?type=inference", token)[0] == 400
    assert requests.post(url, data=PICTURE, headers={"Authorization": f"Bearer {keys['inference']}"}, timeout=10).ok


def test_a_token_that_was_replaced_opens_nothing(stack: Stack) -> None:
    old = stack.client(retries=0)
    old.detect("shapes", PICTURE)
    stale = Client(stack.inference_url, key_file=stack.folder / "old.json", retries=0)
    (stack.folder / "old.json").write_bytes((stack.folder / "key_file.json").read_bytes())
    assert stack.management("GET", "/token?type=inference", stack.keys()["API"]["key"])[0] == 200
    with pytest.raises(InvalidToken):
        stale.detect("shapes", PICTURE)
    stack.client().detect("shapes", PICTURE)
    time.sleep(12)  # the container's own watch has found the new one as well
    assert stack.health() == "healthy"


def test_an_expired_token_opens_nothing_while_the_stack_goes_on(stack: Stack) -> None:
    short = Stack({**stack.environment, "TOKEN_EXPIRATION_MIN": "1"}, stack.folder, stack.models)
    again = ("up", "--detach", "--no-build", "--wait", "--wait-timeout", str(READY_SECONDS))
    short.compose(*again)
    try:
        token = short.keys()["inference"]["key"]
        url, headers = f"{short.inference_url}/predictions/shapes", {"Authorization": f"Bearer {token}"}
        assert requests.post(url, data=PICTURE, headers=headers, timeout=10).ok
        time.sleep(75)
        assert requests.post(url, data=PICTURE, headers=headers, timeout=10).status_code == 400
        # The container's own watch has renewed it, and whoever reads the file again is let in.
        assert short.health() == "healthy"
        short.client(retries=0).detect("shapes", PICTURE)
    finally:
        stack.compose(*again)
    assert stack.keys()["inference"]["key"] != token


def test_a_body_of_200_megabytes_is_refused(stack: Stack) -> None:
    token = stack.keys()["inference"]["key"]

    def send() -> None:
        chunk = bytes(1 << 20)
        try:
            answer = requests.post(
                f"{stack.inference_url}/predictions/shapes", data=(chunk for _ in range(200)),
                headers={"Authorization": f"Bearer {token}"}, timeout=60,
            )  # fmt: skip
        except requests.ConnectionError:
            return  # closed while it was still coming
        assert answer.status_code == 413

    served_meanwhile(stack, send)


def test_many_of_the_largest_requests_at_once(stack: Stack) -> None:
    """Together they are more than TorchServe's memory: some are turned away, and it goes on."""
    token = stack.keys()["inference"]["key"]
    started = stack.started_at()
    picture = saved(noise((6000, 5500)), quality=90)  # takes a worker a second or two
    assert 25_000_000 < len(picture) < 33_000_000
    statuses: list[int] = []

    def one(body: bytes) -> None:
        url, headers = f"{stack.inference_url}/predictions/shapes", {"Authorization": f"Bearer {token}"}
        try:
            statuses.append(requests.post(url, data=body, headers=headers, timeout=120).status_code)
        except requests.ConnectionError:
            statuses.append(0)  # closed while it was still coming

    def send() -> None:
        with ThreadPoolExecutor(56) as pool:
            list(pool.map(one, [picture] * 16 + [bytes(33_000_000)] * 40))

    served_meanwhile(stack, send, most_seconds=90)
    print(Counter(statuses))
    assert set(statuses) <= {0, 200, 415, 503, 507}
    assert stack.started_at() == started  # it is the same server


def test_two_hundred_slow_connections_hold_nobody_up(stack: Stack) -> None:
    address = urlsplit(stack.inference_url)

    def drip() -> None:
        connections = [socket.create_connection((address.hostname, address.port), timeout=5) for _ in range(200)]
        for each in connections:
            each.sendall(b"POST /predictions/shapes HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n")
        for _ in range(8):
            time.sleep(1)
            for each in connections:
                try:
                    each.sendall(b"X-A: b\r\n")
                except OSError:
                    continue  # closed by the server: all the better
        for each in connections:
            each.close()

    served_meanwhile(stack, drip)


def test_bombs_are_refused(stack: Stack) -> None:
    client = stack.client(retries=0)

    def throw() -> None:
        for _ in range(5):
            with pytest.raises(Refused) as caught:
                client.detect("shapes", png_bomb())
            assert caught.value.status == 413
        packed = gzip.compress(bytes(1 << 29))  # half a gigabyte in half a megabyte
        with pytest.raises((Refused, Failed, ServiceError)):
            client.call(
                "inference", "POST", "/predictions/shapes", data=packed,
                headers={"Content-Encoding": "gzip", "Content-Type": "application/octet-stream"},
            )  # fmt: skip

    served_meanwhile(stack, throw)


def test_ten_thousand_requests_at_once(stack: Stack) -> None:
    token = stack.keys()["inference"]["key"]
    address = urlsplit(stack.inference_url)
    head = (
        f"POST /predictions/shapes HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Length: {len(PICTURE)}\r\n\r\n"
    ).encode()
    statuses: dict[str, int] = {}

    async def one(gate: asyncio.Semaphore) -> None:
        async with gate:
            try:
                reader, writer = await asyncio.open_connection(address.hostname, address.port)
                writer.write(head + PICTURE)
                line = await asyncio.wait_for(reader.readline(), 120)
                writer.close()
            except (OSError, TimeoutError):
                line = b"none none"
            status = line.split(b" ")[1].decode()
            statuses[status] = statuses.get(status, 0) + 1

    async def flood() -> None:
        gate = asyncio.Semaphore(900)  # a process may have a thousand files open
        await asyncio.gather(*(one(gate) for _ in range(10_000)))

    served_meanwhile(stack, lambda: asyncio.run(flood()), most_seconds=60)
    print(statuses)
    assert set(statuses) <= {"200", "503"}
    assert sum(statuses.values()) == 10_000


@pytest.mark.parametrize("service", ["torchserve", "ui"])
def test_nothing_can_be_written_but_where_it_must(stack: Stack, service: str) -> None:
    code = (
        "import os\n"
        "found = []\n"
        "for folder, names, files in os.walk('/'):\n"
        "    if folder.split('/')[1] in ('proc', 'sys', 'dev'): names.clear(); continue\n"
        "    try: open(os.path.join(folder, 'x'), 'w').close(); os.remove(os.path.join(folder, 'x'))\n"
        "    except OSError: continue\n"
        "    found.append(folder); names.clear()\n"
        "print(sorted(found))"
    )
    allowed = {"torchserve": "['/run/service', '/tmp']", "ui": "['/tmp']"}
    assert stack.python(service, code).stdout.strip() == allowed[service]


@pytest.mark.parametrize("service", ["torchserve", "ui"])
def test_privileges_cannot_be_gained(stack: Stack, service: str) -> None:
    config = stack.inspect(service)["HostConfig"]
    assert config["ReadonlyRootfs"]
    assert not config["Privileged"]
    assert config["Memory"] > 0
    assert config["PidsLimit"] > 0
    code = (
        "import os, subprocess\n"
        "status = dict(l.split(':\\t') for l in open('/proc/self/status').read().splitlines() if ':\\t' in l)\n"
        "print(os.getuid(), int(status['CapEff'], 16), int(status['CapBnd'], 16), status['NoNewPrivs'].strip())\n"
        "for attempt in (lambda: os.setuid(0), lambda: os.chown('/tmp', 0, 0), lambda: os.chroot('/tmp')):\n"
        "    try: attempt(); print('gained')\n"
        "    except OSError: pass\n"
        "open('/tmp/run', 'w').write('#!/bin/sh\\necho gained'); os.chmod('/tmp/run', 0o4755)\n"
        "try: print(subprocess.run(['/tmp/run'], capture_output=True, text=True).stdout)\n"
        "except OSError: pass\n"
        "os.remove('/tmp/run')\n"
    )
    assert stack.python(service, code).stdout.strip() == "10001 0 0 1"


def test_the_page_without_the_password_changes_nothing(stack: Stack, chromium: Browser) -> None:
    before = stack.registered()
    visits = visiting(chromium, stack.ui_url)
    page = next(visits)("models")
    for guess in ("", "wrong", "secret\n2", "' or 1=1"):
        page.get_by_label("Operator password").fill(guess)
        page.get_by_role("button", name="Unlock").click()
    expect(page.get_by_role("tab")).to_have_count(0)
    for name in ("Scale", "Swap", "Register", "Unregister", "Change the server"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    assert next(visits, None) is None
    assert stack.registered() == before
