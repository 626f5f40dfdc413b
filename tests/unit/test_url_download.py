from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from page import url_download
from page.url_download import NotFetched, fetch, is_public
from support.detections import png


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
     "224.0.0.1", "255.255.255.255", "240.0.0.1", "198.18.0.1", "::1", "::", "fe80::1", "fc00::1", "ff02::1",
     "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
     "2001:db8::1"],
)  # fmt: skip
def test_addresses_that_are_not_of_the_internet_are_told(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946"])
def test_addresses_of_the_internet_are_told(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    ["ftp://example.org/a.jpg", "file:///etc/passwd", "", "nonsense", "http://", "http://user:secret@example.org/a.jpg",
     "http://example.org:8080/a.jpg", "http://example.org:99999/a.jpg", "http://[::1", "http://127.0.0.1/a.jpg",
     "http://2130706433/a.jpg", "http://[::ffff:127.0.0.1]/a.jpg", "http://localhost/a.jpg", "http://0/a.jpg"],
)  # fmt: skip
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(NotFetched):
        fetch(url)


Answering = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[int]:
    """The port of a server that answers as the test's parameter does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            request.param(self)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield listening.server_address[1]
        listening.shutdown()
        thread.join()


def replying(status: int, headers: dict[str, str], body: bytes = b"") -> Answering:
    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return reply


def elsewhere(handler: BaseHTTPRequestHandler) -> None:
    """Leads to the picture, which is named by its path."""
    if handler.path == "/start":
        return replying(302, {"Location": "/pictures/a%20b.png?size=1"})(handler)
    return replying(200, {"Content-Type": "image/png"}, png())(handler)


def everywhere(_: object) -> bool:
    return True


@pytest.mark.parametrize("server", [elsewhere], indirect=True)
def test_a_picture_is_fetched_where_a_redirect_leads(server: int) -> None:
    fetched = fetch(f"http://127.0.0.1:{server}/start", everywhere, (server,))
    assert (fetched.name, fetched.data) == ("a b.png", png())


@pytest.mark.parametrize(
    ("server", "said"),
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
def test_what_is_no_picture_is_refused_in_words(server: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(url_download, "MAX_BYTES", 1000)
    with pytest.raises(NotFetched, match=said):
        fetch(f"http://127.0.0.1:{server}/a.png", everywhere, (server,))


@pytest.mark.parametrize("server", [replying(302, {"Location": "http://localhost/secret"})], indirect=True)
def test_a_redirect_is_checked_like_the_first_address(server: int) -> None:
    first = {"127.0.0.1"}  # permitted once, as if it were public

    def permits(address: url_download.Address) -> bool:
        return bool(first) and str(address) == first.pop()

    with pytest.raises(NotFetched, match="not a public address"):
        fetch(f"http://127.0.0.1:{server}/a.png", permits, (server, 80))


@pytest.mark.parametrize("server", [replying(200, {"Content-Type": "image/png"}, png())], indirect=True)
def test_the_connection_goes_to_the_address_that_was_checked(server: int, monkeypatch: pytest.MonkeyPatch) -> None:
    resolved: list[str] = []

    def resolve(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        resolved.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    connected: list[str] = []
    connect = socket.create_connection

    def note(address: tuple[str, int], timeout: float) -> socket.socket:
        connected.append(address[0])
        return connect(address, timeout)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", note)
    with pytest.raises(NotFetched, match="not a public address"):
        fetch(f"http://rebinding.example:{server}/a.png", ports=(server,))
    assert connected == []
    monkeypatch.undo()
    monkeypatch.setattr(socket, "create_connection", note)
    fetch(f"http://127.0.0.1:{server}/a.png", everywhere, (server,))
    assert connected == ["127.0.0.1"]  # a number: nothing is resolved a second time
    assert resolved == ["rebinding.example"]
