"""Attacks by large, slow and very many requests. Other clients are served meanwhile."""

from __future__ import annotations

import asyncio
import gzip
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
import requests

from service.errors import Failed, Refused, ServiceError
from support.hostile_pictures import noise, png_bomb, saved
from support.stack.attacks import PICTURE, served_meanwhile
from support.stack.stack import Stack


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
            return  # the server closed the connection before the end of the body
        assert answer.status_code == 413

    served_meanwhile(stack, send)


def test_many_of_the_largest_requests_at_once(stack: Stack) -> None:
    """Together they are larger than TorchServe's memory: some are refused, and it continues."""
    token = stack.keys()["inference"]["key"]
    started = stack.started_at()
    picture = saved(noise((6000, 5500)), quality=90)  # a worker needs a second or two for it
    assert 25_000_000 < len(picture) < 33_000_000
    statuses: list[int] = []

    def post(body: bytes) -> None:
        url, headers = f"{stack.inference_url}/predictions/shapes", {"Authorization": f"Bearer {token}"}
        try:
            statuses.append(requests.post(url, data=body, headers=headers, timeout=120).status_code)
        except requests.ConnectionError:
            statuses.append(0)  # the server closed the connection before the end of the body

    def send() -> None:
        with ThreadPoolExecutor(56) as pool:
            list(pool.map(post, [picture] * 16 + [bytes(33_000_000)] * 40))

    served_meanwhile(stack, send, max_seconds=90)
    print(Counter(statuses))
    assert set(statuses) <= {0, 200, 415, 503, 507}
    assert stack.started_at() == started  # it was not restarted


def test_two_hundred_slow_connections_delay_no_other_client(stack: Stack) -> None:
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
                    continue  # the server has closed it, as it may
        for each in connections:
            each.close()

    served_meanwhile(stack, drip)


def test_bombs_are_refused(stack: Stack) -> None:
    client = stack.client(retries=0)

    def send_bombs() -> None:
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

    served_meanwhile(stack, send_bombs)


def test_ten_thousand_requests_at_once(stack: Stack) -> None:
    token = stack.keys()["inference"]["key"]
    address = urlsplit(stack.inference_url)
    head = (
        f"POST /predictions/shapes HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Length: {len(PICTURE)}\r\n\r\n"
    ).encode()
    statuses: dict[str, int] = {}

    async def post(gate: asyncio.Semaphore) -> None:
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
        await asyncio.gather(*(post(gate) for _ in range(10_000)))

    served_meanwhile(stack, lambda: asyncio.run(flood()), max_seconds=60)
    print(statuses)
    assert set(statuses) <= {"200", "503"}
    assert sum(statuses.values()) == 10_000
