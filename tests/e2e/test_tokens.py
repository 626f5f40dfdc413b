"""Tokens of a real TorchServe that expire after a minute, the shortest time that it accepts."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from service.client import Client
from support.pictures import encoded
from support.running_service import Service, environment_for, running

PICTURE = encoded(0, "PNG", (64, 48))
CLIENTS = 6
DEADLINE_SECONDS = 180.0


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    environment = environment_for(tmp_path_factory.mktemp("tokens"), TOKEN_EXPIRATION_MIN="1")
    with running(["shapes"], environment) as started:
        yield started


def keys(service: Service) -> dict[str, str]:
    return {api: entry["key"] for api, entry in json.loads((service.run / "key_file.json").read_text()).items()}


def test_expired_tokens_are_renewed_once_and_no_request_fails(service: Service) -> None:
    before = keys(service)
    clients = [Client(service.inference_url, service.management_url, _key_file(service), 0) for _ in range(CLIENTS)]
    assert all(client.detect("shapes", PICTURE).model == "shapes" for client in clients)
    refused = wait_until_refused(service, before["inference"])
    assert (refused.status_code, refused.json()["type"]) == (400, "InvalidKeyException")
    with ThreadPoolExecutor(CLIENTS) as pool:
        assert len(list(pool.map(lambda client: client.detect("shapes", PICTURE), clients))) == CLIENTS
        assert all(client.models() == ["shapes"] for client in clients)
    after = keys(service)
    assert before["inference"] != after["inference"]
    assert before["management"] != after["management"]
    assert before["API"] == after["API"]
    access = (service.run / "logs" / "access.log").read_text()
    assert access.count("/token?type=inference") == 1
    assert access.count("/token?type=management") == 1


def wait_until_refused(service: Service, token: str) -> requests.Response:
    """The first answer that does not accept the token any more. The management token expires at the same time."""
    entries = json.loads(_key_file(service).read_text()).values()
    expiry = max(datetime.fromisoformat(entry["expiration time"]) for entry in entries if "expiration time" in entry)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        response = requests.get(
            f"{service.inference_url}/ping", headers={"Authorization": f"Bearer {token}"}, timeout=60
        )
        if not response.ok and datetime.now(UTC) > expiry:
            return response
        assert time.monotonic() < deadline, response.text
        time.sleep(0.5)


def _key_file(service: Service) -> Path:
    return service.run / "key_file.json"
