"""The client library in an environment that has nothing but `requests` and what requests needs."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

from support.detections import detection, document
from support.http_server import answering

UI = Path(__file__).parents[2] / "ui"
PACKAGES = ("requests", "urllib3", "idna", "certifi", "charset_normalizer")
PROGRAM = """
import importlib, pkgutil, sys
sys.path[:0] = sys.argv[1:3]

from service import Client
answer = Client(sys.argv[3]).detect("yolov5s", b"an image", confidence=0.4)
print([(detection.class_name, detection.confidence) for detection in answer.detections])

import service
for module in pkgutil.iter_modules(service.__path__):
    importlib.import_module(f"service.{module.name}")
    print(module.name)
assert all(hasattr(service, name) for name in service.__all__)
assert not {"page", "results", "views", "streamlit"} & set(sys.modules)
"""


def test_the_client_library_works_with_nothing_but_requests(tmp_path: Path) -> None:
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        assert spec
        assert spec.origin
        (tmp_path / package).symlink_to(Path(spec.origin).parent)
    body = json.dumps(document([detection((1, 2, 30, 40), 0, "person", 0.5)])).encode()
    with answering(lambda *_: (200, body)) as url:
        # -I ignores the environment's variables and -S its site-packages.
        command = [sys.executable, "-I", "-S", "-c", PROGRAM, str(UI), str(tmp_path), url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found, *modules = done.stdout.splitlines()
    assert found == "[('person', 0.5)]"
    assert modules == sorted(path.stem for path in (UI / "service").glob("*.py") if path.stem != "__init__")
