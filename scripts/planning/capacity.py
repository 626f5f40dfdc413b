"""The command scripts/capacity: what a load takes, from what scripts/benchmark measured. docs/capacity.md explains it.

It multiplies what one machine did. More cores than were measured, and other machines, are an assumption: it says where.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from planning.benchmark_results import MeasuredError, read_measured
from planning.plan import Load, Plan
from server.runtime.settings import ROOT

PHOTO_BYTES = 487438  # of the street scene that the benchmark sends
BUSY = 0.8  # of the cores' time; less than that and the benchmark had too few clients
LARGEST_IMAGE = 33554432  # max_request_size of config.properties
LEAST_RATE, MOST_RATE = 1e-3, 1e9
MOST_CORES = 1024


def describe(plan: Plan) -> str:
    """One model's plan in lines."""
    load, measured = plan.load, plan.measured
    missing = plan.use_without_one
    then = "nothing serves" if missing is None else f"{missing:.0%}" + (": too little" if missing > 1 else "")
    cost = plan.cost_per_million
    rows = {
        "measured": f"{measured.saturated.throughput:.1f} images/s on {measured.cores} cores, "
        f"{measured.saturated.clients} clients, {measured.busy_share:.0%} of the cores' time",
        "replicas": f"{plan.replicas} of {plan.cores_per_replica} cores, {plan.workers} workers each",
        "cores": f"{plan.cores}",
        "use": f"{plan.use:.0%}; while one replica is missing: {then}",
        "memory": f"{plan.replica_bytes / 1e9:.2f} GB a replica, "
        f"{plan.replicas * plan.replica_bytes / 1e9:.1f} GB in all",
        "network": f"{plan.bits_per_second / plan.replicas / 1e6:.0f} Mbit/s a replica, "
        f"{plan.bits_per_second / 1e6:.0f} Mbit/s in all, at {load.image_bytes / 1000:.0f} kB an image",
        "latency": f"\n{'':16}".join(_waits(plan)),
        "full queue": f"{plan.queue_seconds:.1f} s of waiting; after that, 503",
        "cores' hours": f"{plan.core_hours_per_million:.1f} for a million images",
        "cost": "unknown without --price-per-core-hour" if cost is None else f"{cost:.2f} for a million images",
    }
    head = f"{measured.model}, {load.images_per_second:g} images/s, {load.headroom:.0%} kept free"
    return "\n".join([head, *(f"  {name:13} {text}" for name, text in rows.items()), *warnings(plan)])


def _waits(plan: Plan) -> list[str]:
    """What the benchmark's clients waited: the fewest, those who made about this load, the most."""
    measured = plan.measured
    return [
        f"{', '.join(f'{name} {1000 * getattr(point, name):.0f}' for name in ('p50', 'p95', 'p99'))} ms: "
        f"{point.clients} {'client' if point.clients == 1 else 'clients'}, {point.throughput:.1f} images/s"
        for point in dict.fromkeys((measured.points[0], plan.point, measured.saturated))
    ]


def warnings(plan: Plan) -> list[str]:
    """What the figures do not hold up, a line each."""
    measured = plan.measured
    found = []
    if plan.scale != 1:
        found.append(
            f"{plan.cores_per_replica} cores a replica were not measured; throughput is taken to grow with the cores, "
            f"latency is that of {measured.cores}"
        )
    if measured.busy_share < BUSY:
        found.append(
            f"{measured.model}: only {measured.busy_share:.0%} of the cores' time was used, so it may do more; "
            "measure with more --clients"
        )
    failures = sum(point.failures for point in measured.points)
    if failures:
        found.append(f"{measured.model}: {failures} requests of the benchmark failed; find out why before you trust it")
    return [f"  ! {line}" for line in found]


def table(plans: Sequence[Plan]) -> str:
    """All models for one load, a line each."""
    header = ("model", "replicas", "cores", "GB in all", "p50 ms alone", "p95 ms full", "cores' hours", "cost")
    rows = [header, *(_row(plan) for plan in plans)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(cells)).rstrip()
        for cells in (tuple(zip(row, widths, strict=True)) for row in rows)
    ]
    load = plans[0].load
    head = f"{load.images_per_second:g} images/s, {load.headroom:.0%} kept free, "
    head += f"replicas of {plans[0].cores_per_replica} cores; cores' hours and cost for a million images"
    return "\n".join([head, *lines, *dict.fromkeys(line for plan in plans for line in warnings(plan))])


def _row(plan: Plan) -> tuple[str, ...]:
    cost, gigabytes = plan.cost_per_million, plan.replicas * plan.replica_bytes / 1e9
    return (
        plan.measured.model, str(plan.replicas), str(plan.cores), f"{gigabytes:.1f}",
        f"{1000 * plan.measured.points[0].p50:.0f}", f"{1000 * plan.measured.saturated.p95:.0f}",
        f"{plan.core_hours_per_million:.1f}", "" if cost is None else f"{cost:.2f}",
    )  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Print what a load takes; 0 if that could be told."""
    arguments = _parser().parse_args(argv)
    load = Load(
        arguments.images_per_second,
        arguments.headroom,
        arguments.cores_per_replica,
        arguments.image_bytes,
        arguments.price_per_core_hour,
    )
    try:
        measured = read_measured(arguments.benchmark)
    except MeasuredError as error:
        print(f"capacity: {error}", file=sys.stderr)
        return 1
    if arguments.model is None:
        print(table([Plan(each, load) for each in measured.values()]))
    elif arguments.model in measured:
        print(describe(Plan(measured[arguments.model], load)))
    else:
        known = ", ".join(measured)
        print(f"capacity: {arguments.model!r} was not measured; {arguments.benchmark} has {known}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/capacity", description=__doc__)
    parser.add_argument("--images-per-second", type=_rate, required=True, metavar="N", help="the load")
    parser.add_argument("--model", help="as the benchmark names it, like yolov5s-int8 (a table of all)")
    parser.add_argument("--headroom", type=_share, default=0.3, help="kept free, 0 up to 1 (%(default)s)")
    parser.add_argument("--cores-per-replica", type=_cores, metavar="N", help="(as many as were measured)")
    parser.add_argument("--image-bytes", type=_image_bytes, default=PHOTO_BYTES, metavar="N", help="(%(default)s)")
    parser.add_argument("--price-per-core-hour", type=_price, metavar="PRICE", help="in any currency")
    default = ROOT / "docs" / "benchmark" / "benchmark.json"
    parser.add_argument(
        "--benchmark", type=Path, default=default, metavar="FILE", help="(docs/benchmark/benchmark.json)"
    )
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
    if not LEAST_RATE <= (number := _number(text)) <= MOST_RATE:
        raise argparse.ArgumentTypeError(f"{text} is not from {LEAST_RATE:g} to {MOST_RATE:g}")
    return number


def _price(text: str) -> float:
    if (number := _number(text)) < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return number


def _share(text: str) -> float:
    if not 0 <= (number := _number(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 up to 1, like 0.3")
    return number


def _cores(text: str) -> int:
    return _whole(text, MOST_CORES)


def _image_bytes(text: str) -> int:
    return _whole(text, LARGEST_IMAGE)


def _whole(text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {most}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
