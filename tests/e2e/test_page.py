"""The page's process: it starts and stops with the service, and its crash does not stop the service."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import requests

from support.processes import all_ended, processes_of
from support.running_service import ROOT, Service, command, environment_for, running


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return environment_for(tmp_path_factory.mktemp("page"), UI_OPERATOR_PASSWORD="not for workers")


def page_process(environment: dict[str, str]) -> psutil.Process:
    return psutil.Process(json.loads((Path(environment["RUN_DIR"]) / "page.json").read_text())["pid"])


def health(environment: dict[str, str]) -> int:
    return requests.get(f"http://127.0.0.1:{environment['UI_PORT']}/_stcore/health", timeout=5).status_code


@contextmanager
def foreground(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """`up` in the foreground, after it is ready."""
    arguments = [sys.executable, "-m", "server.commands.up", "--models", "shapes"]
    pipe = subprocess.PIPE
    with subprocess.Popen(arguments, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert any("Ctrl-C stops it" in line for line in iter(process.stdout.readline, ""))
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def test_the_page_starts_on_loopback_with_the_service_and_stops_with_it(environment: dict[str, str]) -> None:
    with running(["shapes"], environment, page=True) as service:
        assert f"page        {service.ui_url}" in service.output
        assert health(environment) == 200
        addresses = {each.laddr.ip for each in page_process(environment).net_connections() if each.status == "LISTEN"}
        assert addresses == {"127.0.0.1"}
        _assert_only_the_page_has_the_password(service)
    assert processes_of(environment) == []
    assert not (Path(environment["RUN_DIR"]) / "page.json").exists()


def _assert_only_the_page_has_the_password(service: Service) -> None:
    page = page_process(service.environment)
    pids = [each.pid for each in processes_of(service.environment) if "UI_OPERATOR_PASSWORD" in each.environ()]
    assert pids == [page.pid]
    logs = "".join(path.read_text(errors="replace") for path in (service.run / "logs").glob("*.log"))
    assert "not for workers" not in logs + service.output + (service.run / "config.properties").read_text()


def test_without_a_password_registering_is_off(environment: dict[str, str]) -> None:
    without = {name: value for name, value in environment.items() if name != "UI_OPERATOR_PASSWORD"}
    with running(["shapes"], without) as service:
        url = f"{service.management_url}/models?url=shapes.mar"
        headers = {"Authorization": f"Bearer {service.client.token('management')}"}
        assert requests.post(url, headers=headers, timeout=10).status_code == 405


def test_a_killed_server_ends_the_page_too(environment: dict[str, str]) -> None:
    assert command("up", "--detach", "--models", "shapes", environment=environment).returncode == 0
    page = page_process(environment)
    psutil.Process(json.loads((Path(environment["RUN_DIR"]) / "server.json").read_text())["pid"]).kill()
    assert all_ended(environment)
    assert not page.is_running() or page.status() == psutil.STATUS_ZOMBIE  # no process waits for it in this test
    assert command("down", environment=environment).stdout == "Nothing is running.\n"


def test_a_crashed_page_is_restarted_once_with_a_message(environment: dict[str, str]) -> None:
    with foreground(environment) as up:
        assert up.stderr is not None
        next_message: Callable[[], str] = up.stderr.readline
        first = page_process(environment)
        first.kill()
        assert "The page ended by itself and is restarted" in next_message()
        second = page_process(environment)
        assert second.pid != first.pid
        second.kill()
        assert "The page ended again and is not restarted" in next_message()
        assert requests.get(f"http://127.0.0.1:{environment['METRICS_PORT']}/metrics", timeout=5).ok
    assert up.returncode == 0
    assert all_ended(environment)


def test_a_port_in_use_is_named_before_anything_starts(environment: dict[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(environment["UI_PORT"])))
        taken.listen()
        done = command("up", "--detach", "--models", "shapes", environment=environment)
    assert done.returncode == 1
    assert f"port {environment['UI_PORT']} is in use" in done.stderr
    assert "UI_PORT" in done.stderr
    assert processes_of(environment) == []
