"""The end of a server, with a stub of the client and a fake clock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import pytest

from server.container import shutdown
from server.container.shutdown import FINISH_SECONDS, MIN_DRAIN_SECONDS, PROXY_SECONDS, WRITE_SECONDS, finish_requests
from service.client import Client
from service.drain import NotDrained
from service.errors import Failed
from service.records import Model, Version


class Clock:
    """Stands in for the module `time`: sleeping only moves it on."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class StubClient:
    """A client of a server with two versions of a model; writes a new token as TorchServe does."""

    def __init__(self, key_file: Path, error: Exception | None = None) -> None:
        self.key_file, self.error = key_file, error
        self.renewed: list[str] = []

    def renew(self, api: str) -> None:
        if self.error:
            raise self.error
        self.renewed.append(api)
        content = json.loads(self.key_file.read_text())
        content[api] = {"key": "new"}
        self.key_file.write_text(json.dumps(content))

    def describe_all(self) -> list[Model]:
        versions = tuple(Version(name, "x.mar", 1, 1, 4, 1, 0, 100, (), True) for name in ("1.0", "2.0"))
        return [Model("shapes", versions, "1.0")]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = Clock()
    monkeypatch.setattr(shutdown, "time", fake)
    return fake


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key_file.json"
    path.write_text(json.dumps({"inference": {"key": "old"}, "management": {"key": "m"}}))
    return path


@pytest.fixture
def drained(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, float]]:
    """The versions that were drained and their time limits; the first one takes all its time."""
    calls: list[tuple[str, str, float]] = []

    def drain(client: Client, model: str, version: str, seconds: float) -> str:
        calls.append((model, version, seconds))
        if len(calls) == 1:
            clock.sleep(seconds)
            raise NotDrained(f"version {version} still had requests")
        return "idle"

    monkeypatch.setattr(shutdown, "wait_until_drained", drain)
    return calls


def finish(client: StubClient, key_file: Path | None) -> list[str]:
    """The lines that finish_requests logs."""
    lines: list[str] = []
    finish_requests(cast(Client, client), key_file, lines.append)
    return lines


def test_the_token_is_replaced_and_removed_before_the_versions_are_drained(
    key_file: Path, clock: Clock, drained: list[tuple[str, str, float]]
) -> None:
    client = StubClient(key_file)
    lines = finish(client, key_file)
    assert client.renewed == ["inference"]
    assert json.loads(key_file.read_text()) == {"management": {"key": "m"}}
    assert drained == [("shapes", "1.0", FINISH_SECONDS), ("shapes", "2.0", MIN_DRAIN_SECONDS)]
    assert lines == ["stopping; shapes 1.0 may have requests in progress: version 1.0 still had requests"]
    assert clock.now == FINISH_SECONDS + WRITE_SECONDS


def test_without_tokens_it_gives_the_proxy_time_to_notice(
    key_file: Path, clock: Clock, drained: list[tuple[str, str, float]]
) -> None:
    client = StubClient(key_file)
    finish(client, None)
    assert client.renewed == []
    assert "inference" in json.loads(key_file.read_text())
    assert len(drained) == 2
    assert clock.now == PROXY_SECONDS + FINISH_SECONDS + WRITE_SECONDS


def test_a_server_that_does_not_renew_its_token_is_stopped_at_once(
    key_file: Path, clock: Clock, drained: list[tuple[str, str, float]]
) -> None:
    lines = finish(StubClient(key_file, Failed("internal error", 500)), key_file)
    assert lines == ["stopping with requests in progress: internal error"]
    assert (drained, clock.now) == ([], 0.0)
