"""The proxy of a pod: HAProxy with its configuration, and a stand-in of the server behind it."""

from __future__ import annotations

import http.client
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.container.health import HealthServer
from service.client import Client
from service.errors import InvalidToken
from support.kubernetes.manifests import program
from support.kubernetes.proxies import INFERENCE, MANAGEMENT, MAX_BODY_BYTES, OTHER, Pod, configure, proxied
from support.waiting import wait_for


@pytest.fixture(scope="module")
def health() -> Iterator[HealthServer]:
    server = HealthServer("127.0.0.1", 0)
    yield server
    server.close()


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory, health: HealthServer) -> Iterator[Pod]:
    with proxied(tmp_path_factory.mktemp("pod"), health) as pod:
        yield pod


@pytest.fixture
def pod(started: Pod, health: HealthServer) -> Pod:
    """A ready pod to which no request was sent yet."""
    health.report([])
    wait_for(lambda: started.status(8080, "/ready") == 200 == started.status(8080, "/ping", INFERENCE))
    started.forwarded.clear()
    return started


def test_haproxy_accepts_the_configuration_without_a_warning(tmp_path: Path) -> None:
    path = configure(tmp_path, {9080: 1, 9081: 1, 9082: 1, 8083: 2}, {})
    done = subprocess.run([program("haproxy"), "-c", "-f", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stdout + done.stderr


@pytest.mark.parametrize("token", [INFERENCE, OTHER])
def test_each_token_of_the_file_is_accepted_and_not_forwarded(pod: Pod, token: str) -> None:
    assert pod.send(8080, "/predictions/yolov5s", token, "POST")[0] == 200
    ((path, headers, _),) = pod.forwarded
    assert path == "/predictions/yolov5s"
    assert "authorization" not in {name.lower() for name in headers}


@pytest.mark.parametrize("port", [8080, 8081])
@pytest.mark.parametrize("token", [None, "", "wrong", INFERENCE[:-1], INFERENCE + "a", INFERENCE.upper(), "swapped"])
def test_a_missing_or_wrong_token_is_refused(pod: Pod, port: int, token: str | None) -> None:
    if token == "swapped":
        token = MANAGEMENT if port == 8080 else INFERENCE
    status, headers, body = pod.send(port, "/models", token)
    assert (status, headers["www-authenticate"]) == (401, "Bearer")
    assert json.loads(body)["type"] == "InvalidKeyException"
    assert pod.forwarded == []


@pytest.mark.parametrize("value", [INFERENCE, f"Basic {INFERENCE}", f"Bearer {INFERENCE} x", f"Bearer  x{INFERENCE}"])
def test_a_token_in_another_form_is_refused(pod: Pod, value: str) -> None:
    assert pod.send(8080, "/ping", headers={"Authorization": value})[0] == 401


def test_the_client_recognises_a_refused_token(pod: Pod, tmp_path: Path) -> None:
    key_file = tmp_path / "key_file.json"
    key_file.write_text(json.dumps({"inference": {"key": "old"}, "management": {"key": MANAGEMENT}}))
    client = Client(f"http://127.0.0.1:{pod.ports[8080]}", key_file=key_file)
    with pytest.raises(InvalidToken):
        client.health()
    key_file.write_text(json.dumps({"inference": {"key": INFERENCE}, "management": {"key": MANAGEMENT}}))
    assert client.health().alive


def test_a_body_over_the_limit_is_refused_before_it_is_read(pod: Pod) -> None:
    for length in (MAX_BODY_BYTES + 1, 2**32 + 1, 10**15):
        status, _, body = pod.send(8080, "/predictions/a", INFERENCE, "POST", {"Content-Length": str(length)})
        assert (status, json.loads(body)["code"]) == (413, 413)
    connection = http.client.HTTPConnection("127.0.0.1", pod.ports[8080], timeout=60)
    connection.request("POST", "/predictions/a", bytes(MAX_BODY_BYTES), {"Authorization": f"Bearer {INFERENCE}"})
    assert connection.getresponse().status == 200
    connection.close()
    assert [length for path, _, length in pod.forwarded if path == "/predictions/a"] == [MAX_BODY_BYTES]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_management_is_read_only(pod: Pod, method: str) -> None:
    assert pod.status(8081, "/models/yolov5s", MANAGEMENT) == 200
    status, headers, _ = pod.send(8081, "/models/yolov5s?min_worker=0", MANAGEMENT, method)
    assert (status, headers["allow"]) == (405, "GET")


@pytest.mark.parametrize("path", ["/token?type=inference", "/", "/modelsx", "/workflows", "//models"])
def test_management_shows_models_only(pod: Pod, path: str) -> None:
    assert pod.status(8081, path, MANAGEMENT) == 404


def test_the_port_of_the_metrics_has_only_the_metrics(pod: Pod) -> None:
    assert pod.status(8082, "/metrics") == 200
    assert pod.status(8082, "/metrics?name[]=ts_queue_latency_microseconds") == 200
    assert [pod.status(8082, path) for path in ("/models", "/metrics/", "/predictions/a", "/ready")] == [404] * 4
    assert pod.status(8082, "/metrics", method="POST") == 404
    assert pod.status(8080, "/metrics") == 401
    assert pod.status(8081, "/metrics") == 401


def test_a_load_balancer_gets_the_readiness_and_no_details(pod: Pod, health: HealthServer) -> None:
    assert pod.send(8080, "/ready")[2] == '{"ready": true}'
    health.report(["yolov5s: 1 of 2 workers are ready"])
    wait_for(lambda: pod.status(8080, "/ready") == 503)
    assert pod.send(8080, "/ready")[2] == '{"ready": false}'
    assert pod.status(8080, "/predictions/a", INFERENCE) == 200  # requests that still arrive are forwarded


def test_a_stopping_server_gets_no_new_requests_and_answers_those_in_progress(pod: Pod, health: HealthServer) -> None:
    answers: list[int] = []
    slow = threading.Thread(target=lambda: answers.append(pod.status(8080, "/predictions/slow", INFERENCE)))
    slow.start()
    wait_for(lambda: any(path == "/predictions/slow" for path, _, _ in pod.forwarded))
    health.report(["stopping"])
    wait_for(lambda: pod.status(8080, "/predictions/a", INFERENCE) == 503)
    assert json.loads(pod.send(8080, "/predictions/a", INFERENCE)[2])["code"] == 503
    pod.release.set()
    slow.join(60)
    assert answers == [200]


def test_draining_closes_connections_after_their_answers(pod: Pod) -> None:
    """The last test, because a proxy cannot stop draining."""
    kept = http.client.HTTPConnection("127.0.0.1", pod.ports[8080], timeout=60)

    def send() -> http.client.HTTPResponse:
        kept.request("GET", "/predictions/a", headers={"Authorization": f"Bearer {INFERENCE}"})
        answer = kept.getresponse()
        answer.read()
        return answer

    assert not send().will_close
    assert not send().will_close
    assert pod.status(8084, "/other") == 404
    assert not send().will_close
    assert pod.status(8084, "/drain") == 200
    last = send()
    assert (last.status, last.will_close) == (200, True)
    kept.close()
    assert send().status == 200  # on a new connection: a draining proxy still forwards requests
    kept.close()
