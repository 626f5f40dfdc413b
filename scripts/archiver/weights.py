"""Finds a checkpoint by name, on this machine or in YOLOv5's release (downloaded and verified)."""

import hashlib
import os
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests

from .errors import ChecksumMismatch, StorageError, WeightsUnavailable
from .progress import ProgressBar
from .storage import atomic_file, failed_write

REPOSITORY = Path(__file__).resolve().parents[2]
WEIGHTS_FOLDER = REPOSITORY / "weights"
EMBEDDED = REPOSITORY / "scripts" / "demo_model" / "shapes.pt"
RELEASE_URL = "https://github.com/ultralytics/yolov5/releases/download/v7.0"
CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0
DOWNLOAD_SECONDS = 1800.0
_CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True)
class Release:
    """Size and sha256 of an official file."""

    size: int
    sha256: str


RELEASES = {
    "yolov5n": Release(4062133, "4f180cf23ba0717ada0badd6c685026d73d48f184d00fc159c2641284b2ac0a3"),
    "yolov5s": Release(14808437, "8b3b748c1e592ddd8868022e8732fde20025197328490623cc16c6f24d0782ee"),
    "yolov5m": Release(42806829, "61d933360ba5a7733a36764996c800287d973889d875227f5beedd2473a97a56"),
    "yolov5l": Release(93622629, "2f603b7354c25454d1270663a14d8ddc1eea98e5eebc1d84ce0c6e3150fa155f"),
    "yolov5x": Release(174114333, "9f27a794fa0308e2606f90565164571d6f0a0ba18a3ce2e5e5d323b71c157859"),
}
KNOWN_NAMES = (*RELEASES, "shapes")
SHAPES_IMAGE_SIZE = 320


def default_image_size(name: str) -> int:
    """The image size that a checkpoint was trained for: 640 except for `shapes`."""
    return SHAPES_IMAGE_SIZE if name == "shapes" else 640


def default_licence(name: str) -> str:
    """The licence of a known checkpoint. Only the author of another checkpoint knows its licence."""
    return "AGPL-3.0" if name in KNOWN_NAMES else "not stated"


def find_weights(name: str) -> Path:
    """The checkpoint NAME.pt from weights/ or a folder of YOLOV5_WEIGHTS_DIR, else downloaded from YOLOv5's release.

    "shapes" is the embedded checkpoint of this project. Local files are not verified: yolov5s.pt may be the user's own
    training. A download must equal the released file.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise WeightsUnavailable(f"{name!r}: the name of a checkpoint was expected, such as yolov5s")
    local = local_weights(name)
    if local:
        return local
    if name not in RELEASES:
        searched = ", ".join(str(path) for path in _candidates(name))
        raise WeightsUnavailable(f"{name}: no such file: {searched}; {', '.join(RELEASES)} can be downloaded")
    return download(name, RELEASES[name], WEIGHTS_FOLDER)


def local_weights(name: str) -> Path | None:
    """The checkpoint NAME.pt if it is on this machine; see find_weights."""
    return next((path for path in _candidates(name) if path.is_file()), None)


def _candidates(name: str) -> list[Path]:
    """Paths where NAME.pt may be, in the order of their precedence."""
    embedded = [EMBEDDED] if name == "shapes" else []
    folders = [folder for folder in os.environ.get("YOLOV5_WEIGHTS_DIR", "").split(os.pathsep) if folder]
    return embedded + [folder / f"{name}.pt" for folder in (WEIGHTS_FOLDER, *map(Path, folders))]


def download(name: str, release: Release, folder: Path, *, total_seconds: float = DOWNLOAD_SECONDS) -> Path:
    """Download a released file into the folder. A file that fails verification is not kept."""
    base = (os.environ.get("YOLOV5_WEIGHTS_URL") or RELEASE_URL).rstrip("/")
    url, target = f"{base}/{name}.pt", folder / f"{name}.pt"
    print(f"{name}: downloading {release.size / 1e6:.1f} MB from {url}", file=sys.stderr)
    try:
        with _request(url) as response, atomic_file(target) as file:
            digest = hashlib.sha256()
            for chunk in _chunks(response, url, release, time.monotonic() + total_seconds):
                file.write(chunk)
                digest.update(chunk)
            if digest.hexdigest() != release.sha256:
                actual = digest.hexdigest()
                raise ChecksumMismatch(
                    f"{url}: its sha256 should be {release.sha256}, and is {actual}; it was not kept"
                )
    except requests.RequestException as error:
        raise WeightsUnavailable(_network_failure(name, url, error)) from error
    except OSError as error:
        raise StorageError(failed_write(target, error)) from error
    return target


def _request(url: str) -> requests.Response:
    # Without this the Content-Length may be that of a compressed body.
    headers = {"Accept-Encoding": "identity"}
    response = requests.get(url, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS), headers=headers)
    if response.status_code != requests.codes.ok:
        response.close()
        status = f"{response.status_code} {response.reason}"
        raise WeightsUnavailable(f"{url}: the server answered {status}; 200 was expected")
    return response


def _chunks(response: requests.Response, url: str, release: Release, deadline: float) -> Iterator[bytes]:
    """The body in pieces. Raises as soon as its length is wrong or the deadline has passed."""
    announced = response.headers.get("Content-Length")
    if announced is not None and announced != str(release.size):
        raise ChecksumMismatch(f"{url}: its size should be {release.size} bytes; the server announces {announced}")
    bar, received = ProgressBar(Path(url).stem, release.size, sys.stderr), 0
    try:
        for chunk in response.iter_content(_CHUNK_BYTES):
            received += len(chunk)
            if received > release.size:
                raise ChecksumMismatch(f"{url}: its size should be {release.size} bytes; more were received")
            if time.monotonic() > deadline:
                raise WeightsUnavailable(
                    f"{url}: too slow: only {received} of {release.size} bytes were received in time"
                )
            bar.update(received)
            yield chunk
    finally:
        bar.close()
    if received != release.size:
        raise ChecksumMismatch(f"{url}: its size should be {release.size} bytes; {received} were received")


def _network_failure(name: str, url: str, error: requests.RequestException) -> str:
    if isinstance(error, requests.ConnectTimeout):
        reason = f"no connection within {CONNECT_SECONDS:.0f} s"
    elif isinstance(error, requests.Timeout) or "Read timed out" in str(error):
        reason = f"the server sent nothing for {READ_SECONDS:.0f} s"
    elif isinstance(error, requests.exceptions.ChunkedEncodingError):
        reason = "the server closed the connection before the end"
    elif isinstance(error, requests.ConnectionError):
        reason = "no connection; is there a network?"
    else:
        reason = f"{type(error).__name__}: {error}"
    return f"{url}: {reason} (put {name}.pt into {WEIGHTS_FOLDER}, or set YOLOV5_WEIGHTS_DIR to its folder)"
