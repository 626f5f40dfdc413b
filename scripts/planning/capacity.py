"""Calculate the cores, replicas and costs of a load from a run of scripts/benchmark. See docs/capacity.md.

The results of one machine are multiplied. More cores than were measured, and other machines, are assumptions: the
output marks them.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from planning.benchmark_results import BenchmarkResultsError, read_benchmark_results
from planning.plan import Load, Plan

ROOT = Path(__file__).resolve().parents[2]
PHOTO_BYTES = 487438  # of the photo that the benchmark sends
MIN_BUSY_SHARE = 0.8  # of the cores' time; below it the benchmark had too few clients
MAX_IMAGE_BYTES = 33554432  # max_request_size of config.properties
MIN_RATE, MAX_RATE = 1e-3, 1e9
MAX_CORES = 1024


def describe(plan: Plan) -> str:
    """The plan of one model, one line per fact."""
    load, benchmark = plan.load, plan.benchmark
    without_one = plan.utilisation_without_one
    failover = (
        "no service" if without_one is None else f"{without_one:.0%}" + (" (overload)" if without_one > 1 else "")
    )
    cost = plan.cost_per_million
    rows = {
        "measured": f"{benchmark.saturated.throughput:.1f} images/s on {benchmark.cores} cores, "
        f"{benchmark.saturated.clients} clients, {benchmark.busy_share:.0%} of the cores' time",
        "replicas": f"{plan.replicas} with {plan.cores_per_replica} cores and {plan.workers} workers each",
        "cores": f"{plan.cores}",
        "use": f"{plan.utilisation:.0%}; while one replica is missing: {failover}",
        "memory": f"{plan.replica_bytes / 1e9:.2f} GB per replica, "
        f"{plan.replicas * plan.replica_bytes / 1e9:.1f} GB in total",
        "network": f"{plan.bits_per_second / plan.replicas / 1e6:.0f} Mbit/s per replica, "
        f"{plan.bits_per_second / 1e6:.0f} Mbit/s in total, with {load.image_bytes / 1000:.0f} kB per image",
        "latency": f"\n{'':16}".join(_latencies(plan)),
        "full queue": f"{plan.full_queue_seconds:.1f} s of waiting; further requests get 503",
        "core hours": f"{plan.core_hours_per_million:.1f} for a million images",
        "cost": "unknown without --price-per-core-hour" if cost is None else f"{cost:.2f} for a million images",
    }
    header = f"{benchmark.model}, {load.images_per_second:g} images/s, {load.headroom:.0%} headroom"
    return "\n".join([header, *(f"  {name:13} {text}" for name, text in rows.items()), *warnings(plan)])


def _latencies(plan: Plan) -> list[str]:
    """Measured latencies with the fewest clients, at about this load, and with the most clients."""
    benchmark = plan.benchmark
    return [
        f"{', '.join(f'{name} {1000 * getattr(point, name):.0f}' for name in ('p50', 'p95', 'p99'))} ms: "
        f"{point.clients} {'client' if point.clients == 1 else 'clients'}, {point.throughput:.1f} images/s"
        for point in dict.fromkeys((benchmark.measurements[0], plan.measurement, benchmark.saturated))
    ]


def warnings(plan: Plan) -> list[str]:
    """The assumptions and doubts about the plan, one line each."""
    benchmark = plan.benchmark
    lines = []
    if plan.scale != 1:
        lines.append(
            f"{plan.cores_per_replica} cores per replica were not measured; throughput is assumed to grow with the "
            f"cores, latency is that of {benchmark.cores} cores"
        )
    if benchmark.busy_share < MIN_BUSY_SHARE:
        lines.append(
            f"{benchmark.model}: only {benchmark.busy_share:.0%} of the cores' time was used; the throughput may be "
            "higher: measure with more --clients"
        )
    failures = sum(measurement.failures for measurement in benchmark.measurements)
    if failures:
        lines.append(f"{benchmark.model}: {failures} requests of the benchmark failed; find the cause first")
    return [f"  ! {line}" for line in lines]


def table(plans: Sequence[Plan]) -> str:
    """The plans of all models for one load, one line each."""
    header = (
        "model",
        "replicas",
        "cores",
        "GB in total",
        "p50 ms, 1 client",
        "p95 ms, saturated",
        "core hours",
        "cost",
    )
    rows = [header, *(_row(plan) for plan in plans)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(cells)).rstrip()
        for cells in (tuple(zip(row, widths, strict=True)) for row in rows)
    ]
    load = plans[0].load
    title = f"{load.images_per_second:g} images/s, {load.headroom:.0%} headroom, "
    title += f"{plans[0].cores_per_replica} cores per replica; core hours and cost for a million images"
    return "\n".join([title, *lines, *dict.fromkeys(line for plan in plans for line in warnings(plan))])


def _row(plan: Plan) -> tuple[str, ...]:
    cost, gigabytes = plan.cost_per_million, plan.replicas * plan.replica_bytes / 1e9
    return (
        plan.benchmark.model, str(plan.replicas), str(plan.cores), f"{gigabytes:.1f}",
        f"{1000 * plan.benchmark.measurements[0].p50:.0f}", f"{1000 * plan.benchmark.saturated.p95:.0f}",
        f"{plan.core_hours_per_million:.1f}", "" if cost is None else f"{cost:.2f}",
    )  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Print the plan of a load. Returns 0, or 1 if there are no results to calculate it from."""
    arguments = _parser().parse_args(argv)
    load = Load(
        arguments.images_per_second,
        arguments.headroom,
        arguments.cores_per_replica,
        arguments.image_bytes,
        arguments.price_per_core_hour,
    )
    try:
        results = read_benchmark_results(arguments.benchmark)
    except BenchmarkResultsError as error:
        print(f"capacity: {error}", file=sys.stderr)
        return 1
    if arguments.model is None:
        print(table([Plan(result, load) for result in results.values()]))
    elif arguments.model in results:
        print(describe(Plan(results[arguments.model], load)))
    else:
        measured = ", ".join(results)
        print(
            f"capacity: {arguments.model!r} was not measured; the models in {arguments.benchmark} are {measured}",
            file=sys.stderr,
        )
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/capacity", description=__doc__)
    parser.add_argument("--images-per-second", type=_rate, required=True, metavar="N", help="the load")
    parser.add_argument("--model", help="a model of the benchmark, such as yolov5s-int8 (default: a table of all)")
    parser.add_argument("--headroom", type=_share, default=0.3, help="share that stays free, 0 up to 1 (%(default)s)")
    parser.add_argument("--cores-per-replica", type=_cores, metavar="N", help="(default: as many as were measured)")
    parser.add_argument("--image-bytes", type=_image_bytes, default=PHOTO_BYTES, metavar="N", help="(%(default)s)")
    parser.add_argument("--price-per-core-hour", type=_price, metavar="PRICE", help="in any currency")
    parser.add_argument(
        "--benchmark", type=Path, default=ROOT / "docs" / "benchmark" / "benchmark.json", metavar="FILE",
        help="(docs/benchmark/benchmark.json)",
    )  # fmt: skip
    return parser


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return number


def _rate(text: str) -> float:
    if not MIN_RATE <= (number := _number(text)) <= MAX_RATE:
        raise argparse.ArgumentTypeError(f"{text} is not from {MIN_RATE:g} to {MAX_RATE:g}")
    return number


def _price(text: str) -> float:
    if (number := _number(text)) < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return number


def _share(text: str) -> float:
    if not 0 <= (number := _number(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 up to 1, such as 0.3")
    return number


def _cores(text: str) -> int:
    return _whole_number(text, MAX_CORES)


def _image_bytes(text: str) -> int:
    return _whole_number(text, MAX_IMAGE_BYTES)


def _whole_number(text: str, maximum: int) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= maximum):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {maximum}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
