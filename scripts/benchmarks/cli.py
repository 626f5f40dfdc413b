"""The command scripts/benchmark: this service and what it is compared with, taking turns under load."""

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
from benchmarks import contestants as designs
from benchmarks.contestants import Contestant
from benchmarks.load import BenchmarkError, Sample, require_wrk
from benchmarks.report import Result, describe_machine, plot, summary, table, write_json
from benchmarks.subjects import Subject, build_archives, prepare, prepare_photo
from benchmarks.together import Together, run_together
from server.runtime.settings import ROOT
from server.runtime.torchserve import free_port

WARM_UP_CLIENTS, WARM_UP_SECONDS = 4, 10.0  # the JVM compiles what is hot for the first few hundred requests
CEILING_CLIENTS = (1, 8)
TOGETHER = ("yolov5s", "yolov5m", "yolov5l")  # measured at once as well, in int8
ANSWERS_PER_CLIENT = 3  # a run lasts at least until each client has about as many


@dataclass(frozen=True)
class Started:
    """A contestant that is warm, and the seconds it then took for an image."""

    contestant: Contestant
    pace: float


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table, write it with JSON and plot; 0 if all went well."""
    arguments = _parser().parse_args(argv)
    try:
        require_wrk()
        with tempfile.TemporaryDirectory(prefix="benchmark-") as scratch:
            _own_environment(Path(scratch))
            results, together = _measure_all(arguments, Path(scratch))
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
    if together:
        text += f"\n{together}\n"
    (arguments.output / "benchmark.md").write_text(text)
    print(f"\n{text}\nWritten to {arguments.output}")
    return 1 if any(result.failures for result in results) or (together and together.failures) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/benchmark", description=__doc__)
    parser.add_argument("--variants", default="n,s,m,l", help="of n, s, m, l, x (%(default)s)")
    parser.add_argument("--clients", default="1,4,8,16", help="(%(default)s)")
    parser.add_argument("--seconds", type=float, default=6.0, help="of one run, at least (%(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="turns that each one gets (%(default)s)")
    parser.add_argument("--designs", default="first,ultralytics,in-process", help="to compare with (%(default)s)")
    parser.add_argument("--photo", type=Path, help="what is sent (COCO_DIR/bus.jpg, else a drawn one of 810 x 1080)")
    parser.add_argument("--calibration", type=Path, metavar="DIR", help="pictures for int8 (pieces of the photo)")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "benchmark", help="(%(default)s)")
    return parser


def _own_environment(scratch: Path) -> None:
    """Ports, state and model store of its own, so that a service that runs here is not touched."""
    (scratch / "store").mkdir()
    os.environ |= {"RUN_DIR": str(scratch / "run"), "MODEL_STORE": str(scratch / "store")} | {
        name: str(free_port()) for name in ("INFERENCE_PORT", "MANAGEMENT_PORT", "METRICS_PORT")
    }


def _measure_all(arguments: argparse.Namespace, scratch: Path) -> tuple[list[Result], Together | None]:
    photo = prepare_photo(arguments.photo, scratch)
    subjects = [prepare(f"yolov5{letter}", photo, scratch) for letter in arguments.variants.split(",")]
    os.environ["YOLOV5_WEIGHTS_DIR"] = str(scratch)
    results = []
    for subject in subjects:
        kind = "random" if subject.random else "trained"
        print(f"{subject.variant}: {kind} weights, archiving ...", flush=True)
        models = build_archives(subject, arguments.calibration, photo, scratch / "store")
        with ExitStack() as stack:
            started = _start(stack, arguments.designs.split(","), subject, models, photo, scratch)
            for clients in map(int, arguments.clients.split(",")):
                results += _take_turns(subject, started, clients, arguments)
    every = [f"{subject.variant}-int8" for subject in subjects if subject.variant in TOGETHER]
    if len(every) < 2:
        return results, None
    with designs.this_service(every, photo) as served:
        return results, run_together(served, arguments.seconds, arguments.rounds)


def _start(
    stack: ExitStack, chosen: Sequence[str], subject: Subject, models: Sequence[str], photo: Path, scratch: Path
) -> list[Started]:
    """Everything that this variant is measured with, running and warm."""
    served: list[Contestant] = list(stack.enter_context(designs.this_service(models, photo)))
    if "first" in chosen:
        served.append(stack.enter_context(designs.first_version(subject, photo, scratch)))
    if "ultralytics" in chosen:
        served.append(stack.enter_context(designs.ultralytics_export(subject, photo)))
    started = []
    for each in served:
        sample = each.run(WARM_UP_CLIENTS, WARM_UP_SECONDS)
        if sample.failures:
            raise BenchmarkError(f"{each.design}, {each.model}: {sample.failures} requests failed while it warmed up")
        started.append(Started(each, sample.seconds / sample.requests))
    if "in-process" in chosen:
        own = [model for model in models if model != subject.anchor_free.stem]
        started += [Started(designs.in_process(model, photo, scratch / "store", scratch), 0.0) for model in own]
    return started


def _take_turns(
    subject: Subject, started: Sequence[Started], clients: int, arguments: argparse.Namespace
) -> list[Result]:
    """All contestants, one after the other, several times over: so that a slow minute of the machine meets all."""
    # Without a server there are no clients: either a core has a picture or it has not.
    chosen = [each for each in started if each.contestant.design != "in-process" or clients in CEILING_CLIENTS]
    samples: list[list[Sample]] = [[] for _ in chosen]
    for _ in range(arguments.rounds):
        for index, each in enumerate(chosen):
            contestant = each.contestant
            sample = contestant.run(clients, max(arguments.seconds, ANSWERS_PER_CLIENT * clients * each.pace))
            samples[index].append(sample)
            print(
                f"  {contestant.model:14} {contestant.design:18} {clients:2} clients "
                f"{sample.requests / sample.seconds:6.1f} images/s, median {1000 * sample.p50:5.0f} ms",
                flush=True,
            )
    return [
        Result(subject.variant, each.contestant.design, each.contestant.model, clients, tuple(found))
        for each, found in zip(chosen, samples, strict=True)
    ]


if __name__ == "__main__":
    sys.exit(main())
