"""The manifests agree with the images, compose.yaml and the settings."""

from __future__ import annotations

import argparse
import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from archiver.options import archive_name
from server.arguments import add_build_arguments, add_model_arguments
from server.container.registration import Registration
from server.container.shutdown import FINISH_SECONDS
from server.container.watch import STOPPING, Watch
from server.runtime.torchserve import STOP_SECONDS
from support.kubernetes.manifests import (
    KUBERNETES,
    ROOT,
    Manifest,
    container,
    containers_of,
    environment,
    find_manifest,
    pod_of,
    preparing,
    with_components,
)

PROXY = (KUBERNETES / "proxy" / "haproxy.cfg").read_text()
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
# The containers of our images: the name, the service of compose.yaml, and the folders of its code.
OWN = {
    "archiver": ("archiver", ("scripts/archiver", "scripts/server")),
    "torchserve": ("torchserve", ("scripts/server", "handler")),
    "page": ("ui", ("ui",)),
}
USER_FOLDERS = {"weights", "calibration"}  # folders of compose.yaml with the user's files


@pytest.fixture(scope="module", params=["cpu", "gpu"])
def manifests(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    return with_components(request.param, ["monitoring", "queue-latency"], tmp_path_factory.mktemp("overlay"))


def deployed(manifests: list[Manifest], name: str) -> dict[str, Any]:
    """The pod of a Deployment."""
    return pod_of(find_manifest(manifests, "Deployment", name)) or {}


def own_containers(manifests: list[Manifest]) -> dict[str, dict[str, Any]]:
    """The containers of our images, by name."""
    pods = [deployed(manifests, "torchserve"), deployed(manifests, "page")]
    return {each["name"]: each for pod in pods for each in containers_of(pod) if each["name"] in OWN}


def dockerfile(image: str) -> str:
    return (ROOT / "deploy" / "images" / f"{image}.Dockerfile").read_text()


def strings_in(folders: tuple[str, ...]) -> set[str]:
    """All strings in the code of these folders, which include the variables that it reads."""
    return {
        node.value
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


@pytest.mark.parametrize("name", OWN)
def test_the_image_reads_each_variable(manifests: list[Manifest], name: str) -> None:
    variables = environment(own_containers(manifests)[name])
    assert variables
    assert sorted(set(variables) - strings_in(OWN[name][1])) == []


@pytest.mark.parametrize("name", OWN)
def test_images_and_users_are_those_of_the_dockerfiles(manifests: list[Manifest], name: str) -> None:
    own, image = own_containers(manifests)[name], OWN[name][0]
    repository = own["image"].rpartition(":")[0].removeprefix("registry.example/")
    assert repository.removesuffix("-gpu") == COMPOSE[image]["image"].partition(":")[0]
    assert "command" not in own  # so the entry point of the image runs
    pod = deployed(manifests, "page" if name == "page" else "torchserve")
    user, group = pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsGroup"]
    assert f"USER {user}:{group}\n" in dockerfile(image)
    assert pod["securityContext"]["fsGroup"] == group


@pytest.mark.parametrize("name", OWN)
def test_folders_are_mounted_as_in_compose(manifests: list[Manifest], name: str) -> None:
    service = COMPOSE[OWN[name][0]]
    expected = {path.partition(":")[0]: False for path in service["tmpfs"]}
    for line in service["volumes"]:
        path, _, mode = line.rpartition(":") if line.endswith(":ro") else (line, "", "rw")
        expected[path.rpartition(":")[2]] = mode == "ro"
    if name == "page":  # it has a secret instead of the server's key file, and no archives
        expected = {"/tmp": False, "/run/tokens": True}
    if name == "torchserve":
        expected["/etc/yolov5"] = True
    mounts = {
        each["mountPath"]: each.get("readOnly", False) for each in own_containers(manifests)[name]["volumeMounts"]
    }
    assert mounts == {path: read_only for path, read_only in expected.items() if path.strip("/") not in USER_FOLDERS}


def test_folders_in_variables_are_mounted(manifests: list[Manifest]) -> None:
    server = own_containers(manifests)["torchserve"]
    mounted = {each["mountPath"] for each in server["volumeMounts"]}
    variables = environment(server)
    assert {variables["RUN_DIR"], variables["MODEL_STORE"], str(Path(variables["DESIRED_STATE"]).parent)} <= mounted
    for name in ("RUN_DIR", "MODEL_STORE"):
        assert f"{name}={variables[name]}" in dockerfile("torchserve")
    page = own_containers(manifests)["page"]
    assert str(Path(environment(page)["KEY_FILE"]).parent) in {each["mountPath"] for each in page["volumeMounts"]}


def test_the_proxy_connects_to_the_apis_on_loopback(manifests: list[Manifest]) -> None:
    variables = environment(own_containers(manifests)["torchserve"])
    assert variables["INFERENCE_HOST"] == variables["MANAGEMENT_HOST"] == "127.0.0.1"
    assert variables["TOKEN_AUTHORIZATION"] == "off"
    servers = dict(re.findall(r"^backend (\w+)\n(?:    .*\n)*?    server \w+ 127\.0\.0\.1:(\d+)", PROXY, re.MULTILINE))
    own = {name: variables[f"{name.upper()}_PORT"] for name in ("inference", "management", "metrics", "health")}
    assert servers == {"readiness": own.pop("health"), **own}
    assert f"check port {variables['HEALTH_PORT']} " in PROXY


def test_ports_agree(manifests: list[Manifest]) -> None:
    proxy = container(deployed(manifests, "torchserve"), "proxy")
    ports = {each["name"]: each["containerPort"] for each in proxy["ports"]}
    assert ports == {name: int(port) for name, port in re.findall(r"frontend (\w+)\n    bind :(\d+)", PROXY)}
    for service in (each for each in manifests if each["kind"] == "Service" and each["metadata"]["name"] != "page"):
        for each in service["spec"]["ports"]:
            assert each["port"] == each["targetPort"] == ports[each["name"]]
    urls = environment(own_containers(manifests)["page"])
    for name, port in ports.items():
        assert COMPOSE["ui"]["environment"][f"{name.upper()}_URL"].endswith(f":{port}")
        host, _, own = urls[f"{name.upper()}_URL"].removeprefix("http://").partition(":")
        assert int(own) in {each["port"] for each in find_manifest(manifests, "Service", host)["spec"]["ports"]}
    assert f"EXPOSE {ports['inference']}" in dockerfile("torchserve")
    assert "EXPOSE 8501" in dockerfile("ui")
    assert find_manifest(manifests, "Service", "page")["spec"]["ports"][0]["targetPort"] == 8501
    assert find_manifest(manifests, "ServiceMonitor", "torchserve")["spec"]["endpoints"][0]["port"] in ports


def test_probes_are_those_of_the_images_health_checks(manifests: list[Manifest]) -> None:
    server, page = own_containers(manifests)["torchserve"], own_containers(manifests)["page"]
    assert f"http://127.0.0.1:{environment(server)['HEALTH_PORT']}/ready" in dockerfile("torchserve")
    assert str(server["ports"][0]["containerPort"]) == environment(server)["HEALTH_PORT"]
    paths = {kind: server[kind]["httpGet"]["path"] for kind in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert paths == {"startupProbe": "/ready", "readinessProbe": "/ready", "livenessProbe": "/live"}
    assert environment(server)["HEALTH_HOST"] == "0.0.0.0"
    assert f"http://127.0.0.1:8501{page['readinessProbe']['httpGet']['path']}" in dockerfile("ui")


def test_a_pod_has_time_to_answer_its_requests(manifests: list[Manifest]) -> None:
    pod = deployed(manifests, "torchserve")
    hook = container(pod, "torchserve")["lifecycle"]["preStop"]["exec"]["command"][-1]
    wait = int(re.search(r"sleep (\d+)$", hook).group(1))  # type: ignore[union-attr]
    assert pod["terminationGracePeriodSeconds"] > wait + FINISH_SECONDS + STOP_SECONDS + 5
    assert int(re.search(r"timeout http-keep-alive (\d+)s", PROXY).group(1)) < wait  # type: ignore[union-attr]
    drain = re.search(r"http://127\.0\.0\.1:(\d+)(/\w+)'", hook)
    assert drain
    assert f"bind 127.0.0.1:{drain[1]}\n" in PROXY
    assert f"path {drain[2]} " in PROXY


def test_the_proxy_ends_after_the_server(manifests: list[Manifest]) -> None:
    pod = deployed(manifests, "torchserve")
    assert preparing(pod) == {"archiver"}
    assert container(pod, "proxy")["restartPolicy"] == "Always"


def test_the_proxy_recognises_a_stopping_server() -> None:
    assert Watch.started(["shapes"], 0.0).stopping().problems == (STOPPING,)
    assert f"http-check expect ! string {STOPPING}\n" in PROXY


def test_the_limit_of_a_body_is_that_of_torchserve() -> None:
    limit = re.search(r"^max_request_size=(\d+)$", (ROOT / "config.properties").read_text(), re.MULTILINE)
    assert limit
    assert f"hdr_val(content-length) gt {limit[1]} }}" in PROXY
    assert f"content-length),length gt {len(limit[1])} }}" in PROXY


def test_the_built_models_are_the_served_models(manifests: list[Manifest]) -> None:
    values = find_manifest(manifests, "ConfigMap", "serving")["data"]
    arguments = {}
    for name, own in own_containers(manifests).items():
        if name != "page":
            options = [values[text[2:-1]] if text.startswith("$(") else text for text in own["args"]]
            parser = argparse.ArgumentParser()
            add_model_arguments(parser)
            add_build_arguments(parser)
            arguments[name] = parser.parse_args(options)
            assert own["envFrom"][0]["configMapRef"]["name"].startswith("serving-")
    archiver, server = arguments["archiver"], arguments["torchserve"]
    assert (archiver.models, archiver.precision) == (server.models, server.precision)
    models = find_manifest(manifests, "ConfigMap", "models")
    (volume,) = (each for each in deployed(manifests, "torchserve")["volumes"] if each["name"] == "models")
    assert volume == {"name": "models", "configMap": {"name": models["metadata"]["name"]}}
    file = Path(environment(own_containers(manifests)["torchserve"])["DESIRED_STATE"])
    assert list(models["data"]) == [file.name]
    content = models["data"][file.name]
    registered = [Registration(**each) for each in json.loads(content)]
    names = [archive_name(model, archiver.precision) for model in archiver.models]
    assert [each.model for each in registered] == names
    assert [each.archive for each in registered] == [f"{name}.mar" for name in names]
    assert all(each.is_default and each.workers > 0 for each in registered)


def test_the_metrics_of_the_autoscaler_exist(manifests: list[Manifest]) -> None:
    values = yaml.safe_load((KUBERNETES / "components" / "queue-latency" / "adapter-values.yaml").read_text())
    (rule,) = values["rules"]["custom"]
    known = yaml.safe_load((ROOT / "scripts" / "server" / "runtime" / "metrics.yaml").read_text())["ts_metrics"][
        "counter"
    ]
    used = set(re.findall(r"\bts_\w+", rule["seriesQuery"] + rule["metricsQuery"]))
    assert used == {"ts_queue_latency_microseconds", "ts_inference_requests_total"} <= {each["name"] for each in known}
    metrics = find_manifest(manifests, "HorizontalPodAutoscaler", "torchserve")["spec"]["metrics"]
    assert [each["pods"]["metric"]["name"] for each in metrics if each["type"] == "Pods"] == [rule["name"]["as"]]
