from __future__ import annotations

import errno
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from archiver import weights
from archiver.errors import ChecksumMismatch, StorageError, WeightsUnavailable
from archiver.weights import Release, download, find_weights

CONTENT = bytes(range(256)) * 4096
RELEASE = Release(len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


class Mirror(BaseHTTPRequestHandler):
    """Serves CONTENT. The first folder of the path names the method that answers."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        getattr(self, self.path.split("/")[1])()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def whole(self) -> None:
        self._begin(len(CONTENT))
        self.wfile.write(CONTENT)

    def without_length(self) -> None:
        self._begin(None)
        self.wfile.write(CONTENT)

    def moved(self) -> None:
        self.send_response(302)
        self.send_header("Location", "/whole/yolov5n.pt")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def missing(self) -> None:
        self.send_error(404)

    def broken(self) -> None:
        self.send_error(503)

    def truncated(self) -> None:
        self._begin(len(CONTENT))
        self.wfile.write(CONTENT[: len(CONTENT) // 2])
        self.close_connection = True

    def truncated_without_length(self) -> None:
        self._begin(None)
        self.wfile.write(CONTENT[: len(CONTENT) // 2])

    def other(self) -> None:
        self._begin(len(CONTENT))
        self.wfile.write(CONTENT[:-1] + b"!")

    def short(self) -> None:
        self._begin(5)
        self.wfile.write(b"login")

    def endless(self) -> None:
        self._begin(None)
        for _ in range(3):
            self.wfile.write(CONTENT)

    def stalled(self) -> None:
        self._begin(len(CONTENT))
        self.wfile.write(CONTENT[:1000])
        self.wfile.flush()
        time.sleep(1.5)
        self.close_connection = True

    def slow(self) -> None:
        self._begin(len(CONTENT))
        for start in range(0, len(CONTENT), len(CONTENT) // 8):
            self.wfile.write(CONTENT[start : start + len(CONTENT) // 8])
            self.wfile.flush()
            time.sleep(0.1)

    def _begin(self, length: int | None) -> None:
        self.send_response(200)
        if length is None:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()


class Server(ThreadingHTTPServer):
    """Prints nothing when a client closes the connection, as some of these tests do."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@pytest.fixture(scope="module")
def mirror() -> Iterator[str]:
    server = Server(("127.0.0.1", 0), Mirror)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def isolated_paths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Use no folder or proxy of this machine, and a short timeout."""
    monkeypatch.setattr(weights, "WEIGHTS_FOLDER", tmp_path / "weights")
    monkeypatch.setattr(weights, "EMBEDDED", tmp_path / "scripts" / "demo_model" / "shapes.pt")
    monkeypatch.setattr(weights, "READ_SECONDS", 0.5)
    monkeypatch.setenv("NO_PROXY", "*")
    for variable in ("YOLOV5_WEIGHTS_DIR", "YOLOV5_WEIGHTS_URL"):
        monkeypatch.delenv(variable, raising=False)


def test_checkpoint_in_the_weights_folder_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("weights", "first", "second"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "yolov5s.pt").write_text("mine")
    monkeypatch.setenv("YOLOV5_WEIGHTS_DIR", os.pathsep.join([str(tmp_path / "first"), str(tmp_path / "second")]))
    for folder in ("weights", "first", "second"):
        path = find_weights("yolov5s")
        assert path == tmp_path / folder / "yolov5s.pt"
        path.unlink()


def test_shapes_is_part_of_the_project(tmp_path: Path) -> None:
    embedded = tmp_path / "scripts" / "demo_model" / "shapes.pt"
    embedded.parent.mkdir(parents=True)
    embedded.touch()
    assert find_weights("shapes") == embedded


@pytest.mark.parametrize("name", ["mine", "yolov5s6", "shapes"])
def test_unknown_name_is_an_error_with_the_searched_paths(name: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable, match=f"{name}.*{tmp_path}.*yolov5n.*can be downloaded"):
        find_weights(name)


@pytest.mark.parametrize("name", ["", "../secret", "a/b", ".hidden", "a b", "-x"])
def test_name_that_is_a_path_is_rejected(name: str) -> None:
    with pytest.raises(WeightsUnavailable, match="the name of a checkpoint was expected"):
        find_weights(name)


def test_official_name_is_downloaded_once(
    mirror: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(weights.RELEASES, "yolov5n", RELEASE)
    monkeypatch.setenv("YOLOV5_WEIGHTS_URL", f"{mirror}/whole/")
    path = find_weights("yolov5n")
    assert path == tmp_path / "weights" / "yolov5n.pt"
    assert path.read_bytes() == CONTENT
    assert path.stat().st_mode & 0o777 == 0o644
    assert "downloading 1.0 MB from http" in capsys.readouterr().err
    monkeypatch.setenv("YOLOV5_WEIGHTS_URL", f"{mirror}/missing")
    assert find_weights("yolov5n") == path


@pytest.mark.parametrize("method", ["whole", "without_length", "moved", "slow"])
def test_complete_body_is_kept(method: str, mirror: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("YOLOV5_WEIGHTS_URL", f"{mirror}/{method}")
    assert download("yolov5n", RELEASE, tmp_path).read_bytes() == CONTENT


FAILURES = {
    "missing": (WeightsUnavailable, "answered 404"),
    "broken": (WeightsUnavailable, "answered 503"),
    "truncated": (WeightsUnavailable, "closed the connection before the end"),
    "truncated_without_length": (ChecksumMismatch, "size should be 1048576 bytes; 524288 were received"),
    "other": (ChecksumMismatch, "sha256 should be [0-9a-f]{64}, and is [0-9a-f]{64}"),
    "short": (ChecksumMismatch, "size should be 1048576 bytes; the server announces 5"),
    "endless": (ChecksumMismatch, "size should be 1048576 bytes; more were received"),
    "stalled": (WeightsUnavailable, "sent nothing for"),
}


@pytest.mark.parametrize(
    ("method", "error", "message"), [(way, *wanted) for way, wanted in FAILURES.items()], ids=FAILURES
)
def test_failed_download_leaves_nothing(
    method: str, error: type[Exception], message: str, mirror: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("YOLOV5_WEIGHTS_URL", f"{mirror}/{method}")
    with pytest.raises(error, match=message):
        download("yolov5n", RELEASE, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_download_has_a_deadline(mirror: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("YOLOV5_WEIGHTS_URL", f"{mirror}/slow")
    with pytest.raises(WeightsUnavailable, match="too slow: only"):
        download("yolov5n", RELEASE, tmp_path, total_seconds=0.2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://no-such-host.invalid", "nonsense://x", "nonsense"])
def test_network_error_says_what_to_do(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("YOLOV5_WEIGHTS_URL", url)
    with pytest.raises(WeightsUnavailable, match=r"put yolov5n\.pt into"):
        download("yolov5n", RELEASE, tmp_path)


def test_full_disk_is_named_in_the_error(mirror: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setenv("YOLOV5_WEIGHTS_URL", f"{mirror}/whole")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"yolov5n\.pt: not written: the disk is full"):
        download("yolov5n", RELEASE, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_earlier_file_survives_a_failed_download(mirror: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "yolov5n.pt").write_text("earlier")
    monkeypatch.setenv("YOLOV5_WEIGHTS_URL", f"{mirror}/other")
    with pytest.raises(ChecksumMismatch):
        download("yolov5n", RELEASE, tmp_path)
    assert (tmp_path / "yolov5n.pt").read_text() == "earlier"


def test_releases_are_those_of_yolov5_7_0() -> None:
    assert list(weights.RELEASES) == [f"yolov5{size}" for size in "nsmlx"]
    assert all(len(release.sha256) == 64 for release in weights.RELEASES.values())
