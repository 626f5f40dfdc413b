"""Where the service keeps its things and which ports it uses, from environment variables."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

from detection.cores import available_cores

ROOT = Path(__file__).resolve().parents[2]
BATCH_SIZE = 4  # of model-config.yaml: a worker can use as many cores


class SettingsError(Exception):
    """An environment variable that cannot be used, in words for the user."""


@dataclass(frozen=True)
class Settings:
    """Ports are of the loopback interface. `run` holds what one running service needs: state, key file, logs."""

    inference_port: int
    management_port: int
    metrics_port: int
    workers_per_model: int
    run: Path
    model_store: Path

    @classmethod
    def from_environment(cls) -> Settings:
        """Settings of INFERENCE_PORT, MANAGEMENT_PORT, METRICS_PORT, WORKERS_PER_MODEL, RUN_DIR and MODEL_STORE.

        Raises SettingsError.
        """
        defaults = {"INFERENCE_PORT": 8080, "MANAGEMENT_PORT": 8081, "METRICS_PORT": 8082}
        ports = [_number(name, default, "a port", 65535) for name, default in defaults.items()]
        if len(set(ports)) < len(ports):
            raise SettingsError(f"INFERENCE_PORT, MANAGEMENT_PORT and METRICS_PORT are {ports}; expected three ports")
        run = Path(os.environ.get("RUN_DIR", ROOT / ".run")).resolve()
        store = Path(os.environ.get("MODEL_STORE", ROOT / "model_store")).resolve()
        workers = _number("WORKERS_PER_MODEL", default_workers(available_cores()), "a number of workers", 64)
        return cls(ports[0], ports[1], ports[2], workers, run, store)

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


def default_workers(cores: int) -> int:
    """As many workers as can keep the cores busy, and one more, which receives its batch meanwhile."""
    return math.ceil(cores / BATCH_SIZE) + 1


def _number(name: str, default: int, kind: str, most: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
        raise SettingsError(f"{name} is {text!r}; expected {kind} from 1 to {most}")
    return int(text)
