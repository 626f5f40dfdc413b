"""Downloading a picture from a public URL, without giving visitors access to the network of the page's server.

A host name is resolved once, and the connection goes to the address that was checked. So a name that changes its
address between check and use (DNS rebinding) gains nothing. Redirects are checked like the first URL.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from page.picture import Picture

MAX_BYTES = 32 * 1024 * 1024
TOTAL_SECONDS = 15.0  # for the whole download
MAX_REDIRECTS = 3
CHUNK_BYTES = 64 * 1024
CONTENT_TYPES = ("image/", "application/octet-stream", "binary/octet-stream")
REDIRECT_STATUSES = (301, 302, 303, 307, 308)
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
NAT64 = ipaddress.ip_network("64:ff9b::/96")  # IPv6 addresses that stand for IPv4 ones


class DownloadFailed(Exception):
    """No picture could be downloaded. The message is for the visitor."""


def is_public(address: Address) -> bool:
    """Whether an address is public: not loopback, private, link-local, multicast or reserved."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in NAT64 or address.sixtofour or address.teredo:
            return False
        if address.ipv4_mapped:
            return is_public(address.ipv4_mapped)
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def download(
    url: str, is_allowed: Callable[[Address], bool] = is_public, ports: tuple[int, ...] = (80, 443)
) -> Picture:
    """The picture at an http or https URL. Connections go to addresses that `is_allowed` accepts, at `ports` only.

    Raises DownloadFailed.
    """
    deadline = time.monotonic() + TOTAL_SECONDS
    for _ in range(MAX_REDIRECTS + 1):
        parts = _split(url, ports)
        connection = _connect(parts, is_allowed, deadline)
        try:
            response = _get(connection, parts)
            if response.status not in REDIRECT_STATUSES:
                return Picture(_file_name(parts), _read(response, connection, deadline))
            url = urljoin(url, response.getheader("Location") or "")
        except (OSError, http.client.HTTPException) as error:
            raise DownloadFailed(f"The connection to {parts.hostname} broke off: {type(error).__name__}.") from error
        finally:
            connection.close()
    raise DownloadFailed(f"The address has more than {MAX_REDIRECTS} redirects.")


def _split(url: str, ports: tuple[int, ...]) -> SplitResult:
    try:
        parts = urlsplit(url.strip())
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise DownloadFailed(f"This is not a valid address: {error}.") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise DownloadFailed("Enter an address that begins with http:// or https://, without a user name.")
    if port not in ports:
        raise DownloadFailed(f"Port {port} is not allowed; use {' or '.join(map(str, ports))}.")
    return parts


def _connect(parts: SplitResult, is_allowed: Callable[[Address], bool], deadline: float) -> http.client.HTTPConnection:
    """A connection to a checked address of the host."""
    host, https = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if https else 80)
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise DownloadFailed(f"There is no host {host!r}.") from error
    addresses = [str(entry[4][0]).partition("%")[0] for entry in entries]
    if not all(is_allowed(ipaddress.ip_address(address)) for address in addresses):
        raise DownloadFailed(f"{host} is not a public address. Pictures are downloaded from public addresses only.")
    connection = http.client.HTTPConnection(host, port, timeout=_seconds_left(deadline))
    try:
        plain = socket.create_connection((addresses[0], port), timeout=_seconds_left(deadline))
        tls = ssl.create_default_context()
        connection.sock = tls.wrap_socket(plain, server_hostname=host) if https else plain
    except OSError as error:
        raise DownloadFailed(f"{host} does not answer: {type(error).__name__}.") from error
    return connection


def _get(connection: http.client.HTTPConnection, parts: SplitResult) -> http.client.HTTPResponse:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection.request("GET", target, headers={"Accept": "image/*", "Accept-Encoding": "identity"})
    return connection.getresponse()


def _read(response: http.client.HTTPResponse, connection: http.client.HTTPConnection, deadline: float) -> bytes:
    """The body of a successful response with a picture of at most MAX_BYTES."""
    if response.status != 200:
        raise DownloadFailed(f"The address answers {response.status} {response.reason}.")
    content_type = (response.getheader("Content-Type") or "no content type").partition(";")[0].strip().lower()
    if not content_type.startswith(CONTENT_TYPES):
        raise DownloadFailed(f"The address has {content_type}, not a picture.")
    data = bytearray()
    while True:
        if connection.sock is not None:
            connection.sock.settimeout(_seconds_left(deadline))
        chunk = response.read1(CHUNK_BYTES)
        if not chunk:
            return bytes(data)
        data += chunk
        if len(data) > MAX_BYTES:
            raise DownloadFailed(f"The picture is larger than {MAX_BYTES // 2**20} MB.")


def _seconds_left(deadline: float) -> float:
    """Seconds until the deadline. Raises DownloadFailed after it."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise DownloadFailed(f"The picture did not arrive within {TOTAL_SECONDS:.0f} seconds.")
    return left


def _file_name(parts: SplitResult) -> str:
    return unquote(parts.path).rsplit("/", 1)[-1] or "picture"
