"""The figures of one run as a table, as JSON and as a plot."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.contestants import Design
from benchmarks.load import Sample

FIRST = "first version"


@dataclass(frozen=True)
class Result:
    """All rounds of one contestant with one number of clients. Latencies in seconds."""

    variant: str
    design: Design
    model: str
    clients: int
    samples: tuple[Sample, ...]

    @property
    def throughput(self) -> float:
        """Requests answered with success, per second."""
        return sum(sample.requests for sample in self.samples) / sum(sample.seconds for sample in self.samples)

    @property
    def failures(self) -> int:
        """Requests that were not."""
        return sum(sample.failures for sample in self.samples)

    @property
    def cpu_seconds(self) -> float:
        """CPU time for each of the former."""
        return sum(sample.cpu_seconds for sample in self.samples) / max(1, sum(s.requests for s in self.samples))

    @property
    def resident_bytes(self) -> int:
        """Memory of the processes that served, after the last round."""
        return self.samples[-1].resident_bytes

    def latency(self, name: str) -> float:
        """The median over the rounds of a latency: p50, p95 or p99."""
        return float(statistics.median(getattr(sample, name) for sample in self.samples))


def table(results: Sequence[Result]) -> str:
    """A Markdown table; the ratio is to the first version's throughput of the same variant and clients."""
    base = {(each.variant, each.clients): each.throughput for each in results if each.design == FIRST}
    lines = [
        "| model | design | clients | images/s | to first | p50 ms | p95 ms | p99 ms | CPU s/image | RSS MB | failed |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for each in results:
        reference = base.get((each.variant, each.clients))
        ratio = f"{each.throughput / reference:.2f}" if reference else ""
        latencies = " | ".join(f"{1000 * each.latency(name):.0f}" for name in ("p50", "p95", "p99"))
        lines.append(
            f"| {each.model} | {each.design} | {each.clients} | {each.throughput:.1f} | {ratio} | {latencies} "
            f"| {each.cpu_seconds:.3f} | {each.resident_bytes / 1e6:.0f} | {each.failures} |"
        )
    return "\n".join(lines)


def summary(results: Sequence[Result], many: int) -> str:
    """A short table: throughput with `many` clients, and what a lone one waits."""
    busy = {(each.variant, each.design, each.model): each for each in results if each.clients == many}
    lone = {(each.variant, each.design, each.model): each for each in results if each.clients == 1}
    first_busy = {variant: each for (variant, design, _), each in busy.items() if design == FIRST}
    first_lone = {variant: each for (variant, design, _), each in lone.items() if design == FIRST}
    lines = [
        f"| model | design | images/s, {many} clients | to first | median ms, lone client | to first | RSS MB |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for key, each in busy.items():
        if key not in lone:
            continue
        waits = lone[key].latency("p50")
        gain = f"{each.throughput / first_busy[key[0]].throughput:.1f}" if key[0] in first_busy else ""
        wait = f"{waits / first_lone[key[0]].latency('p50'):.2f}" if key[0] in first_lone else ""
        lines.append(
            f"| {each.model} | {each.design} | {each.throughput:.1f} | {gain} | {1000 * waits:.0f} | {wait} "
            f"| {each.resident_bytes / 1e6:.0f} |"
        )
    return "\n".join(lines)


def write_json(results: Sequence[Result], machine: dict[str, object], path: Path) -> None:
    """Every sample, and the machine."""
    rows = [
        {
            **{name: value for name, value in asdict(each).items() if name != "samples"},
            "throughput": each.throughput,
            "cpu_seconds": each.cpu_seconds,
            "samples": [asdict(sample) for sample in each.samples],
        }
        for each in results
    ]
    path.write_text(json.dumps({"machine": machine, "results": rows}, indent=1) + "\n")


def plot(results: Sequence[Result], path: Path) -> None:
    """Throughput against clients, a panel for each variant."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    variants = list(dict.fromkeys(each.variant for each in results))
    figure, panels = pyplot.subplots(1, len(variants), figsize=(4.2 * len(variants), 4), squeeze=False)
    for variant, panel in zip(variants, panels[0], strict=True):
        chosen = [each for each in results if each.variant == variant]
        for design, model in dict.fromkeys((each.design, each.model) for each in chosen):
            points = [
                (each.clients, each.throughput) for each in chosen if (each.design, each.model) == (design, model)
            ]
            style = "--" if design == "in-process" else "-"
            panel.plot(*zip(*points, strict=True), style, marker="o", label=f"{model}, {design}")
        panel.set(title=variant, xlabel="clients", ylim=(0, None))
        panel.grid(alpha=0.3)
        panel.legend(fontsize=7)
    panels[0][0].set_ylabel("images per second")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def describe_machine() -> dict[str, object]:
    """What the figures depend on besides the code."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    facts = {name.strip(): value.strip() for name, value in facts.items()}
    flags = facts.get("flags", "").split()
    known = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8")
    return {
        "cpu": facts.get("model name", platform.processor()),
        "family_model": f"{facts.get('cpu family')}/{facts.get('model')}",
        "cores": len(os.sched_getaffinity(0)),
        "instructions": [flag for flag in known if flag in flags],
        "python": platform.python_version(),
    }
