from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from page import url_download
from page.url_download import DownloadFailed, download, is_public
from support.detections import png
from support.http_server import POLL_SECONDS


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
     "224.0.0.1", "255.255.255.255", "240.0.0.1", "198.18.0.1", "::1", "::", "fe80::1", "fc00::1", "ff02::1",
     "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
     "2001:db8::1"],
)  # fmt: skip
def test_other_addresses_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    ["ftp://example.org/a.jpg", "file:///etc/passwd", "", "nonsense", "http://", "http://user:secret@example.org/a.jpg",
     "http://example.org:8080/a.jpg", "http://example.org:99999/a.jpg", "http://[::1", "http://127.0.0.1/a.jpg",
     "http://2130706433/a.jpg", "http://[::ffff:127.0.0.1]/a.jpg", "http://localhost/a.jpg", "http://0/a.jpg"],
)  # fmt: skip
def test_invalid_and_local_urls_are_refused(url: str) -> None:
    with pytest.raises(DownloadFailed):
        download(url)


Reply = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[int]:
    """The port of a server whose answer is the test's parameter."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            request.param(self)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(POLL_SECONDS,))
        thread.start()
        yield listening.server_address[1]
        listening.shutdown()
        thread.join()


def replying(status: int, headers: dict[str, str], body: bytes = b"") -> Reply:
    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return reply


def redirecting(handler: BaseHTTPRequestHandler) -> None:
    """Redirects to the picture, whose path gives its name."""
    if handler.path == "/start":
        return replying(302, {"Location": "/pictures/a%20b.png?size=1"})(handler)
    return replying(200, {"Content-Type": "image/png"}, png())(handler)


def allow_all(_: object) -> bool:
    return True


@pytest.mark.parametrize("server", [redirecting], indirect=True)
def test_a_redirect_is_followed(server: int) -> None:
    picture = download(f"http://127.0.0.1:{server}/start", allow_all, (server,))
    assert (picture.name, picture.data) == ("a b.png", png())


@pytest.mark.parametrize(
    ("server", "message"),
    [
        (replying(404, {}), "404"),
        (replying(200, {"Content-Type": "text/html"}, b"<html>"), "text/html"),
        (replying(200, {"Content-Type": "image/png"}, b"x" * 2000), "larger"),
        (replying(302, {"Location": "/again"}), "redirects"),
        (replying(302, {"Location": "http://[::1]/secret"}), "Port"),
        (replying(302, {"Location": "file:///etc/passwd"}), "http"),
        (replying(302, {}), "redirects"),
    ],
    indirect=["server"],
)
def test_a_failed_download_has_its_message(server: int, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(url_download, "MAX_BYTES", 1000)
    with pytest.raises(DownloadFailed, match=message):
        download(f"http://127.0.0.1:{server}/a.png", allow_all, (server,))


@pytest.mark.parametrize("server", [replying(302, {"Location": "http://localhost/secret"})], indirect=True)
def test_a_redirect_is_checked_like_the_first_url(server: int) -> None:
    first = {"127.0.0.1"}  # allowed once, as if it were public

    def is_allowed(address: url_download.Address) -> bool:
        return bool(first) and str(address) == first.pop()

    with pytest.raises(DownloadFailed, match="not a public address"):
        download(f"http://127.0.0.1:{server}/a.png", is_allowed, (server, 80))


@pytest.mark.parametrize("server", [replying(200, {"Content-Type": "image/png"}, png())], indirect=True)
def test_the_connection_goes_to_the_address_that_was_checked(server: int, monkeypatch: pytest.MonkeyPatch) -> None:
    resolved: list[str] = []

    def resolve(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        resolved.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    connected: list[str] = []
    connect = socket.create_connection

    def record(address: tuple[str, int], timeout: float) -> socket.socket:
        connected.append(address[0])
        return connect(address, timeout)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", record)
    with pytest.raises(DownloadFailed, match="not a public address"):
        download(f"http://rebinding.example:{server}/a.png", ports=(server,))
    assert connected == []
    monkeypatch.undo()
    monkeypatch.setattr(socket, "create_connection", record)
    download(f"http://127.0.0.1:{server}/a.png", allow_all, (server,))
    assert connected == ["127.0.0.1"]  # an address: no name is resolved a second time
    assert resolved == ["rebinding.example"]
