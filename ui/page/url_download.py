"""A picture from a public address, fetched by the page's server without lending its place in the network to anyone.

Names are resolved once and the connection goes to the address that was checked, so a name that changes its address
between check and use (DNS rebinding) gains nothing. Redirects are checked like the first address.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

MAX_BYTES = 32 * 1024 * 1024
SECONDS = 15.0  # for all of it
REDIRECTS = 3
CHUNK = 64 * 1024
TYPES = ("image/", "application/octet-stream", "binary/octet-stream")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
TRANSLATED = ipaddress.ip_network("64:ff9b::/96")  # IPv6 addresses that stand for IPv4 ones


class NotFetched(Exception):
    """An address that no picture was fetched from, in words for the visitor."""


@dataclass(frozen=True)
class Fetched:
    """A file by its name and bytes."""

    name: str
    data: bytes


def is_public(address: Address) -> bool:
    """Whether an address is one of the internet at large: not loopback, private, link-local, multicast or reserved."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in TRANSLATED or address.sixtofour or address.teredo:
            return False
        if address.ipv4_mapped:
            return is_public(address.ipv4_mapped)
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def fetch(url: str, permits: Callable[[Address], bool] = is_public, ports: tuple[int, ...] = (80, 443)) -> Fetched:
    """The picture at an http or https address. `permits` and `ports` say where connections may go.

    Raises NotFetched.
    """
    deadline = time.monotonic() + SECONDS
    for _ in range(REDIRECTS + 1):
        parts = _parts(url, ports)
        connection = _connect(parts, permits, deadline)
        try:
            response = _get(connection, parts)
            if response.status not in (301, 302, 303, 307, 308):
                return Fetched(_name(parts), _read(response, connection, deadline))
            url = urljoin(url, response.getheader("Location") or "")
        except (OSError, http.client.HTTPException) as error:
            raise NotFetched(f"{parts.hostname} broke off: {type(error).__name__}.") from error
        finally:
            connection.close()
    raise NotFetched(f"The address leads on and on: more than {REDIRECTS} redirects.")


def _parts(url: str, ports: tuple[int, ...]) -> SplitResult:
    try:
        parts = urlsplit(url.strip())
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise NotFetched(f"This is not an address: {error}.") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise NotFetched("Give an address that begins with http:// or https://, without a user name.")
    if port not in ports:
        raise NotFetched(f"Port {port} is not one of those that pictures are fetched from.")
    return parts


def _connect(parts: SplitResult, permits: Callable[[Address], bool], deadline: float) -> http.client.HTTPConnection:
    """A connection to an address of the host that was checked."""
    host, https = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if https else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotFetched(f"There is no host {host!r}.") from error
    addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
    if not all(permits(ipaddress.ip_address(address)) for address in addresses):
        raise NotFetched(f"{host} is not a public address; pictures are fetched from public addresses only.")
    connection = http.client.HTTPConnection(host, port, timeout=_left(deadline))
    try:
        plain = socket.create_connection((addresses[0], port), timeout=_left(deadline))
        tls = ssl.create_default_context()
        connection.sock = tls.wrap_socket(plain, server_hostname=host) if https else plain
    except OSError as error:
        raise NotFetched(f"{host} does not answer: {type(error).__name__}.") from error
    return connection


def _get(connection: http.client.HTTPConnection, parts: SplitResult) -> http.client.HTTPResponse:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection.request("GET", target, headers={"Accept": "image/*", "Accept-Encoding": "identity"})
    return connection.getresponse()


def _read(response: http.client.HTTPResponse, connection: http.client.HTTPConnection, deadline: float) -> bytes:
    """The body of a response that holds a picture of a size that the service takes."""
    if response.status != 200:
        raise NotFetched(f"The address answers {response.status} {response.reason}.")
    kind = (response.getheader("Content-Type") or "nothing").partition(";")[0].strip().lower()
    if not kind.startswith(TYPES):
        raise NotFetched(f"The address holds {kind}, not a picture.")
    data = bytearray()
    while True:
        if connection.sock is not None:
            connection.sock.settimeout(_left(deadline))
        chunk = response.read1(CHUNK)
        if not chunk:
            return bytes(data)
        data += chunk
        if len(data) > MAX_BYTES:
            raise NotFetched(f"The picture is larger than {MAX_BYTES // 2**20} MB.")


def _left(deadline: float) -> float:
    """Seconds until the deadline. Raises NotFetched after it."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise NotFetched(f"The picture did not arrive within {SECONDS:.0f} seconds.")
    return left


def _name(parts: SplitResult) -> str:
    return unquote(parts.path).rsplit("/", 1)[-1] or "picture"
