"""Unpacks the native library that TorchServe's frontend needs for Unix sockets: python unpack_netty.py FOLDER."""

from __future__ import annotations

import importlib.util
import platform
import sys
import zipfile
from pathlib import Path


def main(folder: Path) -> None:
    """Write the library for this machine's architecture into a folder that the loader searches."""
    package = importlib.util.find_spec("ts")
    if package is None or package.origin is None:
        raise SystemExit("torchserve is not installed")
    architecture = {"arm64": "aarch_64", "aarch64": "aarch_64"}.get(platform.machine(), platform.machine())
    name = f"META-INF/native/libnetty_transport_native_epoll_{architecture}.so"
    with zipfile.ZipFile(Path(package.origin).parent / "frontend" / "model-server.jar") as jar:
        (folder / Path(name).name).write_bytes(jar.read(name))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
