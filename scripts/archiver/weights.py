"""Checkpoints by name: found on this machine, or downloaded from YOLOv5's release and verified."""

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
EMBEDDED = REPOSITORY / "scripts" / "shapes" / "shapes.pt"
RELEASE_URL = "https://github.com/ultralytics/yolov5/releases/download/v7.0"
CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0
TOTAL_SECONDS = 1800.0
_CHUNK = 256 * 1024


@dataclass(frozen=True)
class Release:
    """An official file, as it must arrive."""

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
    """The image size that a known checkpoint was trained for, 640 for all others."""
    return SHAPES_IMAGE_SIZE if name == "shapes" else 640


def default_licence(name: str) -> str:
    """The licence of a known checkpoint; nobody but its author knows another's."""
    return "AGPL-3.0" if name in KNOWN_NAMES else "not stated"


def find_weights(name: str) -> Path:
    """The checkpoint NAME.pt: in weights/, in the folders of YOLOV5_WEIGHTS_DIR, else YOLOv5's release, downloaded.

    "shapes" is the small one that comes with the project. Files found here are taken as they are: yolov5s.pt may be
    someone's own. Only a download must be the released file, byte for byte.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise WeightsUnavailable(f"{name!r}: the name of a checkpoint was expected, such as yolov5s")
    found = local_weights(name)
    if found:
        return found
    if name not in RELEASES:
        looked = ", ".join(str(place) for place in _places(name))
        raise WeightsUnavailable(f"{name}: no such file: {looked}; {', '.join(RELEASES)} can be downloaded")
    return download(name, RELEASES[name], WEIGHTS_FOLDER)


def local_weights(name: str) -> Path | None:
    """The checkpoint NAME.pt if it lies on this machine, where find_weights looks for it."""
    return next((place for place in _places(name) if place.is_file()), None)


def _places(name: str) -> list[Path]:
    bundled = [EMBEDDED] if name == "shapes" else []
    folders = [folder for folder in os.environ.get("YOLOV5_WEIGHTS_DIR", "").split(os.pathsep) if folder]
    return bundled + [folder / f"{name}.pt" for folder in (WEIGHTS_FOLDER, *map(Path, folders))]


def download(name: str, release: Release, folder: Path, *, total_seconds: float = TOTAL_SECONDS) -> Path:
    """Fetch a released file into the folder; it appears there verified or not at all."""
    base = os.environ.get("YOLOV5_WEIGHTS_URL", RELEASE_URL).rstrip("/")
    url, target = f"{base}/{name}.pt", folder / f"{name}.pt"
    print(f"{name}: downloading {release.size / 1e6:.1f} MB from {url}", file=sys.stderr)
    try:
        with _request(url) as response, atomic_file(target) as file:
            digest = hashlib.sha256()
            for chunk in _chunks(response, url, release, time.monotonic() + total_seconds):
                file.write(chunk)
                digest.update(chunk)
            if digest.hexdigest() != release.sha256:
                found = digest.hexdigest()
                raise ChecksumMismatch(f"{url}: its sha256 should be {release.sha256}, and is {found}; it was not kept")
    except requests.RequestException as error:
        raise WeightsUnavailable(_network_failure(name, url, error)) from error
    except OSError as error:
        raise StorageError(failed_write(target, error)) from error
    return target


def _request(url: str) -> requests.Response:
    # Compressed transfers would make the length that is announced another than the file's.
    headers = {"Accept-Encoding": "identity"}
    response = requests.get(url, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS), headers=headers)
    if response.status_code != requests.codes.ok:
        response.close()
        answer = f"{response.status_code} {response.reason}"
        raise WeightsUnavailable(f"{url}: the server answered {answer}, and 200 was expected")
    return response


def _chunks(response: requests.Response, url: str, release: Release, deadline: float) -> Iterator[bytes]:
    """The body in pieces, ended with an error as soon as its length or its duration is wrong."""
    announced = response.headers.get("Content-Length")
    if announced is not None and announced != str(release.size):
        raise ChecksumMismatch(f"{url}: its size should be {release.size} bytes, and is announced as {announced}")
    bar, received = ProgressBar(Path(url).stem, release.size, sys.stderr), 0
    try:
        for chunk in response.iter_content(_CHUNK):
            received += len(chunk)
            if received > release.size:
                raise ChecksumMismatch(f"{url}: its size should be {release.size} bytes, and more came")
            if time.monotonic() > deadline:
                raise WeightsUnavailable(f"{url}: gave up: only {received} of {release.size} bytes came in time")
            bar.update(received)
            yield chunk
    finally:
        bar.close()
    if received != release.size:
        raise ChecksumMismatch(f"{url}: its size should be {release.size} bytes, and {received} came")


def _network_failure(name: str, url: str, error: requests.RequestException) -> str:
    if isinstance(error, requests.ConnectTimeout):
        what = f"no connection within {CONNECT_SECONDS:.0f} s"
    elif isinstance(error, requests.Timeout) or "Read timed out" in str(error):
        what = f"the server sent nothing for {READ_SECONDS:.0f} s"
    elif isinstance(error, requests.exceptions.ChunkedEncodingError):
        what = "the server closed the connection before the end"
    elif isinstance(error, requests.ConnectionError):
        what = "no connection; is there a network?"
    else:
        what = f"{type(error).__name__}: {error}"
    return f"{url}: {what} (put {name}.pt into {WEIGHTS_FOLDER}, or set YOLOV5_WEIGHTS_DIR to a folder that has it)"
