"""Writes the results of the benchmark as a table, as JSON and as a plot."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.load import Sample
from benchmarks.systems import Design

BASELINE = "first version"


@dataclass(frozen=True)
class Result:
    """All rounds of one system with one number of clients. Latencies in seconds."""

    variant: str
    design: Design
    model: str
    clients: int
    samples: tuple[Sample, ...]

    @property
    def throughput(self) -> float:
        """Successful requests per second."""
        return sum(sample.requests for sample in self.samples) / sum(sample.seconds for sample in self.samples)

    @property
    def failures(self) -> int:
        """Failed requests."""
        return sum(sample.failures for sample in self.samples)

    @property
    def cpu_seconds(self) -> float:
        """CPU time per successful request."""
        return sum(sample.cpu_seconds for sample in self.samples) / max(1, sum(s.requests for s in self.samples))

    @property
    def resident_bytes(self) -> int:
        """Memory of the serving processes after the last round."""
        return self.samples[-1].resident_bytes

    def latency(self, name: str) -> float:
        """The median over the rounds of a latency: p50, p95 or p99."""
        return float(statistics.median(getattr(sample, name) for sample in self.samples))


def table(results: Sequence[Result]) -> str:
    """All results as a Markdown table. "to first" is the ratio to the first version with equal variant and clients."""
    baselines = {(result.variant, result.clients): result.throughput for result in results if result.design == BASELINE}
    lines = [
        "| model | design | clients | images/s | to first | p50 ms | p95 ms | p99 ms | CPU s/image | RSS MB | failed |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for result in results:
        baseline = baselines.get((result.variant, result.clients))
        ratio = f"{result.throughput / baseline:.2f}" if baseline else ""
        latencies = " | ".join(f"{1000 * result.latency(name):.0f}" for name in ("p50", "p95", "p99"))
        lines.append(
            f"| {result.model} | {result.design} | {result.clients} | {result.throughput:.1f} | {ratio} | {latencies} "
            f"| {result.cpu_seconds:.3f} | {result.resident_bytes / 1e6:.0f} | {result.failures} |"
        )
    return "\n".join(lines)


def summary(results: Sequence[Result], many: int) -> str:
    """A short table: throughput with `many` clients, and median latency with one client."""
    busy = {(result.variant, result.design, result.model): result for result in results if result.clients == many}
    lone = {(result.variant, result.design, result.model): result for result in results if result.clients == 1}
    first_busy = {variant: result for (variant, design, _), result in busy.items() if design == BASELINE}
    first_lone = {variant: result for (variant, design, _), result in lone.items() if design == BASELINE}
    lines = [
        f"| model | design | images/s, {many} clients | to first | median ms, lone client | to first | RSS MB |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for key, result in busy.items():
        if key not in lone:
            continue
        median = lone[key].latency("p50")
        speedup = f"{result.throughput / first_busy[key[0]].throughput:.1f}" if key[0] in first_busy else ""
        relative = f"{median / first_lone[key[0]].latency('p50'):.2f}" if key[0] in first_lone else ""
        lines.append(
            f"| {result.model} | {result.design} | {result.throughput:.1f} | {speedup} | {1000 * median:.0f} "
            f"| {relative} | {result.resident_bytes / 1e6:.0f} |"
        )
    return "\n".join(lines)


def write_json(results: Sequence[Result], machine: dict[str, object], path: Path) -> None:
    """Write all samples, and the description of the machine."""
    rows = [
        {
            **{name: value for name, value in asdict(result).items() if name != "samples"},
            "throughput": result.throughput,
            "cpu_seconds": result.cpu_seconds,
            "samples": [asdict(sample) for sample in result.samples],
        }
        for result in results
    ]
    path.write_text(json.dumps({"machine": machine, "results": rows}, indent=1) + "\n")


def plot(results: Sequence[Result], path: Path) -> None:
    """Plot throughput against clients, with a panel for each variant."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    variants = list(dict.fromkeys(result.variant for result in results))
    figure, panels = pyplot.subplots(1, len(variants), figsize=(4.2 * len(variants), 4), squeeze=False)
    for variant, panel in zip(variants, panels[0], strict=True):
        chosen = [result for result in results if result.variant == variant]
        for design, model in dict.fromkeys((result.design, result.model) for result in chosen):
            points = [
                (result.clients, result.throughput)
                for result in chosen
                if (result.design, result.model) == (design, model)
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
    """The properties of the machine that affect the results."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    facts = {name.strip(): value.strip() for name, value in facts.items()}
    flags = facts.get("flags", "").split()
    relevant = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8")
    return {
        "cpu": facts.get("model name", platform.processor()),
        "family_model": f"{facts.get('cpu family')}/{facts.get('model')}",
        "cores": len(os.sched_getaffinity(0)),
        "instructions": [flag for flag in relevant if flag in flags],
        "python": platform.python_version(),
    }
