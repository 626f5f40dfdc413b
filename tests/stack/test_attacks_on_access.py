"""Attacks on the stack's hidden APIs, its model store and its tokens. A test passes only if its attack fails."""

from __future__ import annotations

import json

import pytest
import requests

from service.client import Client
from service.errors import InvalidToken
from support.stack.attacks import PICTURE
from support.stack.stack import READY_SECONDS, Stack, docker
from support.waiting import wait_for

HIDDEN = ((8081, "/models", "modelName"), (8082, "/metrics", "# HELP"), (8083, "/ready", "problems"))


def addresses(stack: Stack, service: str) -> list[str]:
    networks = stack.inspect(service)["NetworkSettings"]["Networks"].values()
    return [network["IPAddress"] for network in networks]


def is_service(host: str, port: int, path: str, text: str, token: str) -> bool:
    """Whether the service answers there, with this text. On some networks a program answers at every address."""
    try:
        answer = requests.get(f"http://{host}:{port}{path}", headers={"Authorization": f"Bearer {token}"}, timeout=3)
    except requests.RequestException:
        return False
    return text in answer.text


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
    # The host could reach them through the published network.
    assert any(is_service(host, 8080, "/ping", "Healthy", keys["inference"]) for host in own)
    reached = [
        (host, port)
        for host in own
        for port, path, text in HIDDEN
        if is_service(host, port, path, text, keys["management"])
    ]
    assert reached == []


def test_management_cannot_be_reached_from_the_published_network(stack: Stack) -> None:
    code = (
        "import socket, sys\n"
        "for name, port in (('torchserve', 8080), ('torchserve', 8081), ('torchserve', 8082), ('torchserve', 8083)):\n"
        "    try: socket.create_connection((name, port), 2); print(port)\n"
        "    except OSError: pass\n"
    )
    image = stack.inspect("ui")["Config"]["Image"]
    command = ("run", "--rm", "--network", f"{stack.name}_edge", "--entrypoint", "python", image, "-c", code)
    assert docker(*command).stdout.split() == ["8080"]


@pytest.mark.parametrize("path", ["models", "management/models", "api/models", "..%2fmodels", "metrics", "token"])
def test_the_page_does_not_forward_to_an_api(stack: Stack, path: str) -> None:
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
    # The archive is valid; it is refused for its place.
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


def test_wrong_and_swapped_tokens_are_refused(stack: Stack) -> None:
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


def test_a_replaced_token_is_refused(stack: Stack) -> None:
    old = stack.client(retries=0)
    old.detect("shapes", PICTURE)
    stale = Client(stack.inference_url, key_file=stack.folder / "old.json", retries=0)
    (stack.folder / "old.json").write_bytes((stack.folder / "key_file.json").read_bytes())
    assert stack.management("GET", "/token?type=inference", stack.keys()["API"]["key"])[0] == 200
    with pytest.raises(InvalidToken):
        stale.detect("shapes", PICTURE)
    stack.client().detect("shapes", PICTURE)
    stack.wait_for_probes(4)  # of the health that the container found with the new token
    assert stack.health() == "healthy"


def test_an_expired_token_is_refused_and_the_stack_stays_healthy(stack: Stack) -> None:
    short = Stack({**stack.environment, "TOKEN_EXPIRATION_MIN": "1"}, stack.folder, stack.models)
    again = ("up", "--detach", "--no-build", "--wait", "--wait-timeout", str(READY_SECONDS))
    short.compose(*again)
    try:
        token = short.keys()["inference"]["key"]
        url, headers = f"{short.inference_url}/predictions/shapes", {"Authorization": f"Bearer {token}"}
        assert requests.post(url, data=PICTURE, headers=headers, timeout=10).ok
        wait_for(lambda: not requests.post(url, data=PICTURE, headers=headers, timeout=60).ok)
        assert requests.post(url, data=PICTURE, headers=headers, timeout=60).status_code == 400
        short.wait_for_probes(4)
        # The container has renewed the token, and a client that reads the file again is accepted.
        assert short.health() == "healthy"
        short.client(retries=0).detect("shapes", PICTURE)
    finally:
        stack.compose(*again)
    assert stack.keys()["inference"]["key"] != token
