"""The upper limit: the code of an archive (decode, engine, suppression) called in a loop, without a server.

python -m benchmarks.in_process FOLDER PHOTO SECONDS lone|many prints a Sample as JSON. `lone` processes one picture at
a time on all cores, as for one client; `many` processes one picture per core, as for many clients.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import psutil

from detection.detector import Detector
from detection.engine import load_engine
from detection.head import load_head
from detection.image import MAX_PIXELS
from detection.model_description import DESCRIPTION_FILE, ModelDescription
from detection.options import Options
from detection.records import Detections, Task

WARM_UP_ROUNDS = 5
BATCH_SIZE = 64


def main(folder: Path, photo: Path, seconds: float, mode: str) -> None:
    """Run for about `seconds` and print the result."""
    description = ModelDescription.read(folder / DESCRIPTION_FILE)
    engine = load_engine(folder, description, "cpu", BATCH_SIZE)
    detector = Detector(engine, load_head(folder, description), MAX_PIXELS)
    options = Options(image_size=description.image_size)
    detector.warm_up(options)
    task = Task(photo.read_bytes(), options)
    tasks = [task] if mode == "lone" else [task] * BATCH_SIZE
    for _ in range(WARM_UP_ROUNDS):
        _check(detector.detect(tasks[:4]))
    process = psutil.Process()
    cpu, started = sum(process.cpu_times()[:2]), time.perf_counter()
    deadline, images, latencies = started + seconds, 0, []
    while time.perf_counter() < deadline:
        before = time.perf_counter()
        _check(detector.detect(tasks))
        latencies.append((time.perf_counter() - before) / len(tasks))
        images += len(tasks)
    wall = time.perf_counter() - started
    latencies.sort()
    sample = {
        "requests": images,
        "failures": 0,
        "seconds": wall,
        "cpu_seconds": sum(process.cpu_times()[:2]) - cpu,
        "resident_bytes": process.memory_info().rss,
        **{f"p{share}": latencies[len(latencies) * share // 100] for share in (50, 95, 99)},
    }
    print(json.dumps(sample))


def _check(results: list[Detections | Exception]) -> None:
    for result in results:
        if isinstance(result, Exception):
            raise result


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), sys.argv[4])
