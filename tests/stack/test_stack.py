"""The images can be built, the stack starts, and it detects the same as the service outside Docker."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser, expect

from support.browser.visits import rows_of, upload, visiting
from support.pictures import crowded
from support.running_service import ROOT, Service
from support.stack.stack import Stack, docker

DOCKERFILES = sorted((ROOT / "deploy" / "images").glob("*.Dockerfile"))
BASE = "python:3.11-slim-bookworm"
MAX_ADDED_MB = {"archiver": 1900, "torchserve": 750, "ui": 650}
"""The most that the images may add to their base: less than a CUDA build, a compiler or a cache needs."""


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)
def test_dockerfiles_are_clean(stack: Stack, path: Path) -> None:
    del stack  # a machine with an engine has hadolint
    done = subprocess.run(["hadolint", str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("files", [("compose.yaml",), ("compose.yaml", "compose.gpu.yaml")], ids=len)
def test_compose_files_are_valid(stack: Stack, files: tuple[str, ...]) -> None:
    options = [option for file in files for option in ("--file", file)]
    done = docker("compose", *options, "--profile", "monitoring", "config", environment=stack.environment)
    assert done.stderr == ""
    config = yaml.safe_load(done.stdout)
    for name, service in config["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["mem_limit"], name
        assert service["pids_limit"], name
        assert not service["image"].endswith("latest"), name


def test_the_example_settings_are_those_that_compose_reads() -> None:
    used = set(re.findall(r"\$\{([A-Z0-9_]+)", (ROOT / "compose.yaml").read_text()))
    shown = set(re.findall(r"^#([A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.M))
    assert used - {"ENGINE"} <= shown
    assert shown <= used


def size_mb(image: str) -> float:
    images: list[dict[str, float]] = json.loads(docker("image", "inspect", image).stdout)
    return images[0]["Size"] / 1e6


def test_images_contain_nothing_unnecessary(stack: Stack) -> None:
    base = size_mb(BASE)
    for name, max_mb in MAX_ADDED_MB.items():
        added = size_mb(stack.inspect(name)["Config"]["Image"]) - base
        print(f"{name}: {added:.0f} MB on top of {BASE}")
        assert added < max_mb
    for service, absent in (
        ("torchserve", ("torch", "ultralytics", "streamlit")),
        ("ui", ("torch", "openvino", "cv2")),
    ):
        code = "import importlib.util as u, sys; print([n for n in sys.argv[1:] if u.find_spec(n)])"
        assert stack.python(service, code, *absent).stdout.strip() == "[]"
        code = "import shutil, sys; print([n for n in ('gcc', 'cc', 'make', 'git', 'curl') if shutil.which(n)])"
        assert stack.python(service, code).stdout.strip() == "[]"


def test_the_stack_is_healthy_and_serves_the_requested_models(stack: Stack) -> None:
    assert stack.health() == "healthy"
    assert stack.health("ui") == "healthy"
    assert set(stack.registered()) == set(stack.models)
    assert stack.inspect("archiver")["State"]["ExitCode"] == 0


def test_detections_equal_those_outside_docker(stack: Stack, service: Service, coco: Path) -> None:
    pictures = {"shapes": crowded(), "yolov5n": (coco / "bus.jpg").read_bytes()}
    for model in stack.models:
        inside = stack.client().detect(model, pictures[model])
        outside = service.client.detect(model, pictures[model])
        assert inside.detections == outside.detections
        assert len(inside.detections) >= 4


def test_the_page_detects_and_an_operator_scales(stack: Stack, chromium: Browser) -> None:
    data = crowded()
    answer = stack.client().detect("shapes", data)
    visits = visiting(chromium, stack.ui_url)
    visit = next(visits)
    page = visit()
    page.get_by_role("combobox", name="Model").first.wait_for()
    if len(stack.models) > 1:
        page.get_by_role("combobox", name="Model").first.click()
        page.get_by_role("option", name=re.compile("^shapes")).click()
    upload(page, ("crowded.jpg", data))
    assert [row[0] for row in rows_of(page, "Detections")] == [detection.class_name for detection in answer.detections]
    page = visit("models")
    page.get_by_label("Operator password").fill("secret")
    page.get_by_role("button", name="Unlock").click()
    expect(page.get_by_role("tab", name="Workers")).to_be_visible()
    assert next(visits, None) is None


def test_a_model_is_registered_scaled_and_unregistered(stack: Stack) -> None:
    before = stack.registered()
    for method, path in (
        ("POST", "/models?url=shapes.mar&model_name=other&initial_workers=2&synchronous=true"),
        ("PUT", "/models/other?min_worker=1&max_worker=1&synchronous=true"),
        ("DELETE", "/models/other/1.0?synchronous=true"),
    ):
        status, text = stack.management(method, path)
        assert status < 300, text
    assert stack.registered() == before


def test_logs_have_at_most_one_line_per_request_and_no_tokens(stack: Stack) -> None:
    client = stack.client()
    before = len(stack.compose("logs", "--no-log-prefix", "torchserve").stdout.splitlines())
    for _ in range(50):
        client.detect("shapes", crowded())
    logs = stack.compose("logs", "--no-log-prefix", "torchserve").stdout
    assert len(logs.splitlines()) - before <= 50 + 5
    everything = logs + stack.compose("logs", "ui", "archiver").stdout
    for entry in stack.keys().values():
        assert entry["key"] not in everything


def test_metrics_count_requests_and_pictures(stack: Stack) -> None:
    stack.client().detect("shapes", crowded())
    code = "import requests; print(requests.get('http://torchserve.internal:8082/metrics', timeout=10).text)"
    text = stack.python("ui", code).stdout
    for name in ("ts_inference_requests_total", "ts_inference_latency_microseconds", "ts_queue_latency_microseconds",
                 "yolov5_batches_total", "yolov5_batched_requests_total", "yolov5_pictures_total",
                 "yolov5_detections_total", "yolov5_decode_seconds", "yolov5_inference_seconds",
                 "yolov5_suppression_seconds"):  # fmt: skip
        assert re.search(rf"^# HELP {name}\w* \S+", text, re.M), name
        assert re.search(rf'^{name}\w*{{[^}}]*model_name="shapes"[^}}]*}} [1-9]', text, re.M), name


def test_the_dashboard_queries_existing_metrics() -> None:
    declared = yaml.safe_load((ROOT / "scripts" / "server" / "runtime" / "metrics.yaml").read_text())
    names = {metric["name"] for part in declared.values() for metrics in part.values() for metric in metrics}
    folder = ROOT / "deploy" / "monitoring" / "grafana"
    dashboard = json.loads((folder / "dashboards" / "yolov5.json").read_text())
    source = yaml.safe_load((folder / "datasources" / "prometheus.yaml").read_text())["datasources"][0]["uid"]
    for panel in dashboard["panels"]:
        assert panel["datasource"]["uid"] == source
        for target in panel["targets"]:
            queried = set(re.findall(r"\b(?:ts_|yolov5_|Requests)\w+", target["expr"]))
            assert queried
            assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in queried} <= names
