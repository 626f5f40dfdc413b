"""The ceiling: decode, engine and suppression of an archive called in a loop, with no server around them.

python -m benchmarks.in_process FOLDER PHOTO SECONDS lone|many prints a Sample as JSON. `lone` looks at one picture
after the other with all cores, as for one user; `many` has a picture in work on every core, as for many.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import psutil

from detection.detector import Detections, Detector, Task
from detection.engine import load_engine
from detection.image import MAX_PIXELS
from detection.model_description import Description
from detection.options import Options

WARM_UP = 5
BATCH = 64


def main(folder: Path, photo: Path, seconds: float, mode: str) -> None:
    """Run for about `seconds` and print what was reached."""
    network = Description.read(folder / "model.json")
    detector = Detector(load_engine(folder, network, "cpu", BATCH), network.head(folder), MAX_PIXELS)
    options = Options(image_size=network.image_size)
    detector.warm_up(options)
    task = Task(photo.read_bytes(), options)
    tasks = [task] if mode == "lone" else [task] * BATCH
    for _ in range(WARM_UP):
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
