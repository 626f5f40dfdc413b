"""Expiring tokens, with a stand-in that renews them as TorchServe does: it writes a new one and refuses the old one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.client import Client
from service.errors import InvalidToken
from support.http_server import answering

LATER = timedelta(hours=1)
PAST = timedelta(minutes=-5)
REFUSAL = (
    400,
    json.dumps({"code": 400, "type": "InvalidKeyException", "message": "Token Authorization failed."}).encode(),
)


class StandIn:
    """The two APIs of a service with this key file."""

    def __init__(self, key_file: Path) -> None:
        self.key_file = key_file
        self.valid = {"inference": "i0", "management": "m0"}
        self.renewals: list[str] = []
        self._lock = threading.Lock()
        self.write(LATER)

    def write(self, expires_in: timedelta, api_key: bool = True) -> None:
        stamp = (datetime.now(UTC) + expires_in).isoformat().replace("+00:00", "123Z")  # nine digits, as Java writes
        content = {api: {"key": key, "expiration time": stamp} for api, key in self.valid.items()}
        self.key_file.write_text(json.dumps(content | ({"API": {"key": "a0"}} if api_key else {})))

    def expire(self, api_key: bool = True) -> None:
        """Both tokens expire: the file keeps them, and the service refuses them."""
        self.write(PAST, api_key)
        self.valid = {api: f"none but the next {api}" for api in self.valid}

    def reply(self, path: str, headers: dict[str, str], _: bytes) -> tuple[int, bytes]:
        token = headers.get("Authorization", "").removeprefix("Bearer ")
        with self._lock:
            if path.startswith("/token?type="):
                return self._renew(path.removeprefix("/token?type="), token)
            api = "management" if path.startswith("/models") else "inference"
            return (200, b'{"status": "Healthy", "models": []}') if token == self.valid[api] else REFUSAL

    def _renew(self, api: str, token: str) -> tuple[int, bytes]:
        if token != "a0":
            return REFUSAL
        self.renewals.append(api)
        self.valid[api] = f"{api[0]}{len(self.renewals)}"
        content = json.loads(self.key_file.read_text())
        content[api] = {"key": self.valid[api], "expiration time": (datetime.now(UTC) + LATER).isoformat()}
        self.key_file.write_text(json.dumps(content))
        return 200, b""


@contextmanager
def service(tmp_path: Path) -> Iterator[tuple[StandIn, str]]:
    stand_in = StandIn(tmp_path / "key_file.json")
    with answering(stand_in.reply) as url:
        yield stand_in, url


def test_an_expired_token_is_renewed(tmp_path: Path) -> None:
    with service(tmp_path) as (stand_in, url):
        client = Client(url, url, stand_in.key_file)
        assert client.health().alive
        stand_in.expire()
        assert client.health().alive
        assert client.models() == []
        assert stand_in.renewals == ["inference", "management"]


def test_many_clients_renew_an_expired_token_once(tmp_path: Path) -> None:
    with service(tmp_path) as (stand_in, url):
        stand_in.expire()
        clients = [Client(url, url, stand_in.key_file) for _ in range(12)]
        with ThreadPoolExecutor(len(clients)) as pool:
            assert all(health.alive for health in pool.map(Client.health, clients))
        assert stand_in.renewals == ["inference"]


def test_a_token_that_is_refused_before_it_expires_is_not_renewed(tmp_path: Path) -> None:
    with service(tmp_path) as (stand_in, url):
        stand_in.valid["inference"] = "of another start"
        with pytest.raises(InvalidToken):
            Client(url, url, stand_in.key_file).health()
        assert stand_in.renewals == []


@pytest.mark.parametrize("without", ["the API key", "the management address"])
def test_a_client_that_cannot_renew_raises_until_another_client_has_renewed(tmp_path: Path, without: str) -> None:
    with service(tmp_path) as (stand_in, url):
        stand_in.expire(api_key=without != "the API key")
        client = Client(url, None if without == "the management address" else url, stand_in.key_file)
        with pytest.raises(InvalidToken):
            client.health()
        assert stand_in.renewals == []
        stand_in.valid["inference"] = "renewed by another"
        stand_in.write(LATER)
        assert client.health().alive


def test_a_client_for_another_address_sends_no_token(tmp_path: Path) -> None:
    seen: list[str | None] = []

    def reply(_: str, headers: dict[str, str], __: bytes) -> tuple[int, bytes]:
        seen.append(headers.get("Authorization"))
        return 200, b'{"status": "Healthy"}'

    with answering(reply) as url:
        Client(url).health()
    assert seen == [None]
