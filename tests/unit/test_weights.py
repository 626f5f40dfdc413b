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
    """Serves CONTENT in as many ways as the path's first folder names; the file is what was asked for."""

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

    def dripping(self) -> None:
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
    """Says nothing when a client gives up, which is what some of these tests want."""

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
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No folder or proxy of this machine takes part; waits are short."""
    monkeypatch.setattr(weights, "WEIGHTS_FOLDER", tmp_path / "weights")
    monkeypatch.setattr(weights, "EMBEDDED", tmp_path / "scripts" / "shapes" / "shapes.pt")
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
        found = find_weights("yolov5s")
        assert found == tmp_path / folder / "yolov5s.pt"
        found.unlink()


def test_shapes_come_with_the_project(tmp_path: Path) -> None:
    bundled = tmp_path / "scripts" / "shapes" / "shapes.pt"
    bundled.parent.mkdir(parents=True)
    bundled.touch()
    assert find_weights("shapes") == bundled


@pytest.mark.parametrize("name", ["mine", "yolov5s6", "shapes"])
def test_name_that_is_nowhere_says_where_it_was_sought(name: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable, match=f"{name}.*{tmp_path}.*yolov5n.*can be downloaded"):
        find_weights(name)


@pytest.mark.parametrize("name", ["", "../secret", "a/b", ".hidden", "a b", "-x"])
def test_name_that_is_a_path_is_refused(name: str) -> None:
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


@pytest.mark.parametrize("way", ["whole", "without_length", "moved", "dripping"])
def test_whole_body_is_kept(way: str, mirror: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("YOLOV5_WEIGHTS_URL", f"{mirror}/{way}")
    assert download("yolov5n", RELEASE, tmp_path).read_bytes() == CONTENT


FAILURES = {
    "missing": (WeightsUnavailable, "answered 404"),
    "broken": (WeightsUnavailable, "answered 503"),
    "truncated": (WeightsUnavailable, "closed the connection before the end"),
    "truncated_without_length": (ChecksumMismatch, "size should be 1048576 bytes, and 524288 came"),
    "other": (ChecksumMismatch, "sha256 should be [0-9a-f]{64}, and is [0-9a-f]{64}"),
    "short": (ChecksumMismatch, "size should be 1048576 bytes, and is announced as 5"),
    "endless": (ChecksumMismatch, "size should be 1048576 bytes, and more came"),
    "stalled": (WeightsUnavailable, "sent nothing for"),
}


@pytest.mark.parametrize(
    ("way", "error", "message"), [(way, *wanted) for way, wanted in FAILURES.items()], ids=FAILURES
)
def test_failed_download_leaves_nothing(
    way: str, error: type[Exception], message: str, mirror: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("YOLOV5_WEIGHTS_URL", f"{mirror}/{way}")
    with pytest.raises(error, match=message):
        download("yolov5n", RELEASE, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_download_has_a_deadline(mirror: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("YOLOV5_WEIGHTS_URL", f"{mirror}/dripping")
    with pytest.raises(WeightsUnavailable, match="gave up: only"):
        download("yolov5n", RELEASE, tmp_path, total_seconds=0.2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://no-such-host.invalid", "nonsense://x", "nonsense"])
def test_no_network_says_what_to_do(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("YOLOV5_WEIGHTS_URL", url)
    with pytest.raises(WeightsUnavailable, match=r"put yolov5n\.pt into"):
        download("yolov5n", RELEASE, tmp_path)


def test_full_disk_is_called_so(mirror: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
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
