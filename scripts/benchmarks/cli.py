"""Measure the throughput and latency of this service and of other designs, one after the other under load."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from archiver.errors import ArchiverError
from benchmarks import systems
from benchmarks.concurrent_models import ConcurrentThroughput, run_concurrently
from benchmarks.inputs import VariantCheckpoints, build_archives, prepare_checkpoints, prepare_photo
from benchmarks.load import BenchmarkError, Sample, require_wrk
from benchmarks.report import Result, describe_machine, plot, summary, table, write_json
from benchmarks.systems import System
from server.runtime.ports import free_port
from server.runtime.settings import ROOT

WARM_UP_CLIENTS, WARM_UP_SECONDS = 4, 10.0  # the JVM compiles hot code during the first few hundred requests
# The in-process design has no clients. These numbers stand for one image and for many images at a time.
IN_PROCESS_CLIENTS = (1, 8)
CONCURRENT_VARIANTS = ("yolov5s", "yolov5m", "yolov5l")  # in int8, these are also measured at the same time
MIN_ANSWERS_PER_CLIENT = 3  # sets the minimum duration of a run


@dataclass(frozen=True)
class WarmSystem:
    """A system after its warm-up, and the seconds that it then needed per image."""

    system: System
    seconds_per_image: float


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table, and write it with a JSON file and a plot. Returns 0 if no request failed."""
    arguments = _parser().parse_args(argv)
    try:
        require_wrk()
        with tempfile.TemporaryDirectory(prefix="benchmark-") as scratch:
            _isolate_environment(Path(scratch))
            results, concurrent = _measure_all(arguments, Path(scratch))
    except (BenchmarkError, ArchiverError, OSError) as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("benchmark: interrupted", file=sys.stderr)
        return 130
    machine = describe_machine()
    arguments.output.mkdir(parents=True, exist_ok=True)
    write_json(results, machine, arguments.output / "benchmark.json")
    plot(results, arguments.output / "benchmark.png")
    text = f"{', '.join(f'{name}: {value}' for name, value in machine.items())}\n\n"
    text += f"{summary(results, many=8)}\n\n{table(results)}\n"
    if concurrent:
        text += f"\n{concurrent}\n"
    (arguments.output / "benchmark.md").write_text(text)
    print(f"\n{text}\nWritten to {arguments.output}")
    return 1 if any(result.failures for result in results) or (concurrent and concurrent.failures) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/benchmark", description=__doc__)
    parser.add_argument("--variants", default="n,s,m,l", help="from n, s, m, l, x (%(default)s)")
    parser.add_argument("--clients", default="1,4,8,16", help="numbers of clients (%(default)s)")
    parser.add_argument("--seconds", type=float, default=6.0, help="minimum duration of a run (%(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each system (%(default)s)")
    parser.add_argument(
        "--designs", default="first,ultralytics,in-process", help="other designs to measure (%(default)s)"
    )
    parser.add_argument(
        "--photo", type=Path, help="the photo to send (default: COCO_DIR/bus.jpg, else a synthetic one of 810 x 1080)"
    )
    parser.add_argument(
        "--calibration", type=Path, metavar="DIR", help="calibration pictures for int8 (default: crops of the photo)"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "benchmark", help="(%(default)s)")
    return parser


def _isolate_environment(scratch: Path) -> None:
    """Use separate ports, state and model store, so that a service on this machine is not affected."""
    (scratch / "store").mkdir()
    os.environ |= {"RUN_DIR": str(scratch / "run"), "MODEL_STORE": str(scratch / "store")} | {
        name: str(free_port()) for name in ("INFERENCE_PORT", "MANAGEMENT_PORT", "METRICS_PORT")
    }


def _measure_all(arguments: argparse.Namespace, scratch: Path) -> tuple[list[Result], ConcurrentThroughput | None]:
    photo = prepare_photo(arguments.photo, scratch)
    variants = [prepare_checkpoints(f"yolov5{letter}", photo, scratch) for letter in arguments.variants.split(",")]
    os.environ["YOLOV5_WEIGHTS_DIR"] = str(scratch)
    results = []
    for checkpoints in variants:
        weights = "random" if checkpoints.random else "trained"
        print(f"{checkpoints.variant}: {weights} weights, archiving ...", flush=True)
        models = build_archives(checkpoints, arguments.calibration, photo, scratch / "store")
        with ExitStack() as stack:
            warm_systems = _start(stack, arguments.designs.split(","), checkpoints, models, photo, scratch)
            for clients in map(int, arguments.clients.split(",")):
                results += _run_rounds(checkpoints, warm_systems, clients, arguments)
    concurrent = [f"{each.variant}-int8" for each in variants if each.variant in CONCURRENT_VARIANTS]
    if len(concurrent) < 2:
        return results, None
    with systems.this_service(concurrent, photo) as http_systems:
        return results, run_concurrently(http_systems, arguments.seconds, arguments.rounds)


def _start(
    stack: ExitStack,
    designs: Sequence[str],
    checkpoints: VariantCheckpoints,
    models: Sequence[str],
    photo: Path,
    scratch: Path,
) -> list[WarmSystem]:
    """Start and warm up all systems that serve this variant."""
    servers: list[System] = list(stack.enter_context(systems.this_service(models, photo)))
    if "first" in designs:
        servers.append(stack.enter_context(systems.first_version(checkpoints, photo, scratch)))
    if "ultralytics" in designs:
        servers.append(stack.enter_context(systems.ultralytics_export(checkpoints, photo)))
    warm_systems = []
    for server in servers:
        sample = server.run(WARM_UP_CLIENTS, WARM_UP_SECONDS)
        if sample.failures:
            raise BenchmarkError(f"{server.design}, {server.model}: {sample.failures} requests of the warm-up failed")
        warm_systems.append(WarmSystem(server, sample.seconds / sample.requests))
    if "in-process" in designs:
        unpacked = [model for model in models if model != checkpoints.anchor_free.stem]
        warm_systems += [
            WarmSystem(systems.in_process(model, photo, scratch / "store", scratch), 0.0) for model in unpacked
        ]
    return warm_systems


def _run_rounds(
    checkpoints: VariantCheckpoints, warm_systems: Sequence[WarmSystem], clients: int, arguments: argparse.Namespace
) -> list[Result]:
    """Measure all systems one after the other, several times: a slow minute of the machine then affects all of them."""
    chosen = [warm for warm in warm_systems if warm.system.design != "in-process" or clients in IN_PROCESS_CLIENTS]
    samples: list[list[Sample]] = [[] for _ in chosen]
    for _ in range(arguments.rounds):
        for index, warm in enumerate(chosen):
            system = warm.system
            seconds = max(arguments.seconds, MIN_ANSWERS_PER_CLIENT * clients * warm.seconds_per_image)
            sample = system.run(clients, seconds)
            samples[index].append(sample)
            print(
                f"  {system.model:14} {system.design:18} {clients:2} clients "
                f"{sample.requests / sample.seconds:6.1f} images/s, median {1000 * sample.p50:5.0f} ms",
                flush=True,
            )
    return [
        Result(checkpoints.variant, warm.system.design, warm.system.model, clients, tuple(rounds))
        for warm, rounds in zip(chosen, samples, strict=True)
    ]


if __name__ == "__main__":
    sys.exit(main())
