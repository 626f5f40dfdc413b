"""Where the service keeps its things and which ports it uses, from environment variables."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class SettingsError(Exception):
    """An environment variable that cannot be used, in words for the user."""


@dataclass(frozen=True)
class Settings:
    """Ports are of the loopback interface. `run` holds what one running service needs: state, key file, logs."""

    inference_port: int
    management_port: int
    metrics_port: int
    run: Path
    model_store: Path

    @classmethod
    def from_environment(cls) -> Settings:
        """Settings of INFERENCE_PORT, MANAGEMENT_PORT, METRICS_PORT, RUN_DIR and MODEL_STORE.

        Raises SettingsError.
        """
        ports = [_port("INFERENCE_PORT", 8080), _port("MANAGEMENT_PORT", 8081), _port("METRICS_PORT", 8082)]
        if len(set(ports)) < len(ports):
            raise SettingsError(f"INFERENCE_PORT, MANAGEMENT_PORT and METRICS_PORT are {ports}; expected three ports")
        run = Path(os.environ.get("RUN_DIR", ROOT / ".run")).resolve()
        store = Path(os.environ.get("MODEL_STORE", ROOT / "model_store")).resolve()
        return cls(ports[0], ports[1], ports[2], run, store)

    @property
    def inference_url(self) -> str:
        """Base address of the inference API."""
        return f"http://127.0.0.1:{self.inference_port}"

    @property
    def management_url(self) -> str:
        """Base address of the management API."""
        return f"http://127.0.0.1:{self.management_port}"

    @property
    def metrics_url(self) -> str:
        """Base address of the metrics API."""
        return f"http://127.0.0.1:{self.metrics_port}"

    @property
    def key_file(self) -> Path:
        """The tokens; TorchServe writes them into its working directory."""
        return self.run / "key_file.json"

    @property
    def log(self) -> Path:
        """What the server and its workers have to say."""
        return self.run / "logs" / "server.log"


def _port(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise SettingsError(f"{name} is {text!r}; expected a port from 1 to 65535")
    return int(text)
