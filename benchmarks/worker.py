"""One process of a measurement: `python -m benchmarks.worker REQUEST ANSWERS`.

REQUEST is JSON (see `Request`); answers are appended to the file ANSWERS, a line of JSON for each
subject. What frameworks print goes where it goes.
"""

from __future__ import annotations

import gc
import importlib
import json
import re
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import rounds
from benchmarks.agreement import check_agreement, first_steps
from benchmarks.environment import confine
from benchmarks.subject import MODULES, OURS, Step, Subject
from benchmarks.workloads import subjects

MEMORY_STEPS = 20
MEMORY_SECONDS = 3.0
STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Request:
    """What to measure.

    task:       "steady": the times of all frameworks, in turns; "first": seconds of the first
                call; "memory": bytes at the peak. The last two are for one framework
    subjects:   their names
    frameworks: which ones, as far as a subject has them
    """

    task: str
    subjects: list[str]
    frameworks: list[str]
    threads: int
    quick: bool

    def text(self) -> str:
        """As an argument of the command line."""
        return json.dumps(asdict(self))


def loaded(framework: str, threads: int) -> Any:
    """The framework's module, told how many threads to use where a call is needed for it."""
    module = importlib.import_module(MODULES[framework])
    if MODULES[framework] == "torch":
        module.set_num_threads(threads)
    return module


def steady(subject: Subject, request: Request) -> dict[str, Any]:
    """Seconds per call, by framework: the median of each round. All must agree first.

    What keeps a peer from running is a note; what keeps us is an error.
    """
    data = subject.data()
    steps: dict[str, Step] = {}
    values, notes = {}, {}
    for framework in request.frameworks:
        if framework in subject.definitions:
            try:
                module = loaded(framework, request.threads)
                step = subject.definitions[framework](module, data)
                values[framework] = first_steps(step)
            except Exception as error:
                if framework == OURS:
                    raise
                notes[framework] = "".join(traceback.format_exception_only(error)).strip()
            else:
                steps[framework] = step
    check_agreement(subject.name, values)
    gc.collect()
    effort = rounds.QUICK if request.quick else rounds.Effort(seconds=subject.seconds)
    return {"times": rounds.interleaved(steps, effort), "notes": notes}


def first(subject: Subject, request: Request) -> dict[str, Any]:
    """Seconds from the imported framework to the result of the first call."""
    (framework,) = request.frameworks
    data = subject.data()
    module = loaded(framework, request.threads)
    start = time.perf_counter()
    subject.definitions[framework](module, data)()
    return {"value": time.perf_counter() - start}


def memory(subject: Subject, request: Request) -> dict[str, Any]:
    """Bytes of the process at the peak of some steps, over those after the import.

    The batches and weights exist before; what a framework copies of them counts.
    """
    (framework,) = request.frameworks
    data = subject.data()
    module = loaded(framework, request.threads)
    gc.collect()
    # Linux: starts the peak (VmHWM) anew, without which an import's own peak would count.
    Path("/proc/self/clear_refs").write_text("5")
    before = status_bytes("VmRSS")
    step = subject.definitions[framework](module, data)
    start = time.perf_counter()
    for taken in range(MEMORY_STEPS):
        step()
        if taken >= 2 and time.perf_counter() - start > MEMORY_SECONDS:
            break
    return {"value": status_bytes("VmHWM") - before}


def status_bytes(field: str) -> int:
    """A size that Linux tells of this process."""
    found = re.search(rf"^{field}:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)
    assert found, field
    return int(found[1]) * 1024


TASKS: dict[str, Callable[[Subject, Request], dict[str, Any]]] = {
    "steady": steady,
    "first": first,
    "memory": memory,
}


def main(request: str, answers: str) -> None:
    """Answer a request."""
    asked = Request(**json.loads(request))
    confine(asked.threads)
    known = {subject.name: subject for subject in subjects(asked.quick)}
    with Path(answers).open("a") as file:
        for name in asked.subjects:
            answer = TASKS[asked.task](known[name], asked)
            file.write(json.dumps({"subject": name, **answer}) + "\n")
            file.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
