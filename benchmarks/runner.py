"""Starts the measuring processes and makes rows of their answers."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.environment import environment
from benchmarks.rounds import middle, quartiles
from benchmarks.subject import MODULES, OURS, UNITS, Subject
from benchmarks.worker import STATUS, Request

ROOT = Path(__file__).parent.parent
MODES = ("train", "infer", "call", "cold", "warm", "memory")

# How often a first call is measured: up to so many times, as long as it takes no more seconds.
FIRST_CALLS = 3
FIRST_SECONDS = 6.0

# How much is shown of what a process that failed has said last.
LAST_LINES = 12


class Failed(Exception):
    """A measuring process ended without an answer."""


@dataclass(frozen=True)
class Row:
    """What was found out about one subject in one mode, in `unit`.

    ours, peers: medians
    spread:      by framework, what half of the single measurements lie between
    beside:      what is told, but is no framework to compare with: memory by hand
    gflops:      by framework, 10⁹ operations per second, for subjects that count them
    """

    workload: str
    mode: str
    ours: float
    unit: str
    peers: dict[str, float]
    spread: dict[str, tuple[float, float]]
    beside: dict[str, float] = field(default_factory=dict)
    gflops: dict[str, float] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """The best peer's value over ours: above 1 we are better. None without peers."""
        return min(self.peers.values()) / self.ours if self.peers else None


@dataclass
class Report:
    """All rows, and what readers should know: who was left out, and why."""

    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Add a note, once."""
        if text not in self.notes:
            self.notes.append(text)


@dataclass(frozen=True)
class Measurement:
    """What the user asked for.

    modes:      of `MODES`
    frameworks: of `MODULES`, us included
    progress:   is told what is being measured
    """

    threads: int
    modes: Sequence[str]
    frameworks: Sequence[str]
    quick: bool = False
    progress: Callable[[str], None] = lambda text: None

    def run(self, subjects: Sequence[Subject]) -> Report:
        """Measure all subjects in all modes."""
        with tempfile.TemporaryDirectory() as caches:
            return self._run(subjects, Path(caches))

    def _run(self, subjects: Sequence[Subject], kept: Path) -> Report:
        """kept: a folder for what frameworks keep from process to process."""
        report = Report()
        present = [name for name in self.frameworks if importlib.util.find_spec(MODULES[name])]
        for name in self.frameworks:
            if name not in present:
                report.note(f"{name} is not installed")
        for (workload, mode), group in groupby(subjects, lambda s: (s.workload.split()[0], s.mode)):
            members = list(group)
            if mode in self.modes:
                self.progress(f"{workload} {mode}")
                self._steady(members, present, kept, report)
            for subject in members:
                if subject.first_call:
                    self._first_calls(subject, present, kept, report)
                    self._memory(subject, present, report)
        order = [subject.workload for subject in subjects]
        report.rows.sort(key=lambda row: (order.index(row.workload), MODES.index(row.mode)))
        return report

    def _steady(
        self, subjects: list[Subject], frameworks: list[str], kept: Path, report: Report
    ) -> None:
        """Rows for subjects of one workload and mode, all in one process."""
        names = [subject.name for subject in subjects]
        answers = self._ask("steady", names, frameworks, kept)
        for subject, answer in zip(subjects, answers, strict=True):
            for framework, why in answer["notes"].items():
                report.note(f"{framework} can't do {subject.name}: {why}")
            self._add(_row(subject, subject.mode, subject.unit, answer["times"]), report)

    def _first_calls(
        self, subject: Subject, frameworks: list[str], kept: Path, report: Report
    ) -> None:
        """Rows for the first call with nothing kept from before, and with all that is kept.

        NumPy by hand has no first call to speak of.
        """
        able = [name for name in frameworks if name in subject.definitions and name != "numpy"]
        for mode in ("cold", "warm"):
            if mode in self.modes:
                self.progress(f"{subject.workload} {mode}")
                values = self._first(subject, mode, able, kept, report)
                self._add(_row(subject, mode, "s", values), report)

    def _first(
        self, subject: Subject, mode: str, frameworks: list[str], kept: Path, report: Report
    ) -> dict[str, list[float]]:
        """Seconds of first calls, each in a process of its own, in turns.

        Where caches are to be warm, a call before those that count has filled them.
        """

        def once(framework: str) -> list[float]:
            if mode == "warm":
                return self._alone("first", subject, framework, kept, report)
            with tempfile.TemporaryDirectory() as empty:
                return self._alone("first", subject, framework, Path(empty), report, cold=True)

        values: dict[str, list[float]] = {}
        for framework in frameworks:
            found = once(framework)
            if found:
                values[framework] = once(framework) if mode == "warm" else found
        for _ in range(0 if self.quick else FIRST_CALLS - 1):
            for framework, found in values.items():
                if sum(found) < FIRST_SECONDS:
                    found += once(framework)
        return values

    def _memory(self, subject: Subject, frameworks: list[str], report: Report) -> None:
        """A row for the peak of memory; by hand, without a framework, is no peer but is told."""
        if "memory" not in self.modes:
            return
        if not STATUS.exists():
            report.note("peak memory is measured on Linux only")
            return
        self.progress(f"{subject.workload} memory")
        values: dict[str, list[float]] = {}
        for framework in frameworks:
            if framework in subject.definitions:
                with tempfile.TemporaryDirectory() as caches:
                    found = self._alone("memory", subject, framework, Path(caches), report)
                if found:
                    values[framework] = found
        self._add(_row(subject, "memory", "MB", values), report)

    def _add(self, row: Row, report: Report) -> None:
        """Keep a row, and tell it at once: the whole takes long."""
        report.rows.append(row)
        values = {"ours": row.ours, **row.peers, **row.beside}
        told = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        self.progress(f"{row.workload} {row.mode}, {row.unit}: {told}")

    def _alone(
        self,
        task: str,
        subject: Subject,
        framework: str,
        caches: Path,
        report: Report,
        *,
        cold: bool = False,
    ) -> list[float]:
        """What one framework's process answers; nothing but a note where a peer fails."""
        try:
            answers = self._ask(task, [subject.name], [framework], caches, cold=cold)
        except Failed as error:
            if framework == OURS:
                raise
            report.note(f"{framework} can't do {subject.name}: {error}")
            return []
        return [float(answer["value"]) for answer in answers]

    def _ask(
        self,
        task: str,
        subjects: list[str],
        frameworks: list[str],
        caches: Path,
        *,
        cold: bool = False,
    ) -> list[dict[str, Any]]:
        """What a new process answers, for each subject. Raises Failed."""
        request = Request(task, subjects, frameworks, self.threads, self.quick)
        with tempfile.TemporaryDirectory() as folder:
            path, log = Path(folder, "answers"), Path(folder, "log")
            command = [sys.executable, "-m", "benchmarks.worker", request.text(), str(path)]
            with log.open("w") as output:
                done = subprocess.run(
                    command,
                    cwd=ROOT,
                    env=environment(self.threads, caches, cold=cold),
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    check=False,
                )
            if done.returncode:
                said = log.read_text(errors="replace").strip().splitlines()[-LAST_LINES:]
                raise Failed("\n".join([f"exit status {done.returncode}", *said]))
            return [json.loads(line) for line in path.read_text().splitlines()]


def _row(subject: Subject, mode: str, unit: str, values: dict[str, list[float]]) -> Row:
    """Medians of what was measured, seconds or bytes, in the unit of the row."""
    scaled = {name: [v / UNITS[unit] for v in found] for name, found in values.items()}
    medians = {name: middle(found) for name, found in scaled.items()}
    beside = {"numpy": medians.pop("numpy")} if mode == "memory" and "numpy" in medians else {}
    return Row(
        workload=subject.workload,
        mode=mode,
        ours=medians.pop(OURS),
        unit=unit,
        peers=medians,
        spread={name: quartiles(found) for name, found in scaled.items()},
        beside=beside,
        gflops={
            name: subject.flops / middle(found) / 1e9
            for name, found in values.items()
            if subject.flops is not None
        },
    )
