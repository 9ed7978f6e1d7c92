"""`graphwright demo`: a small network on real images, from the graph to held-out accuracy."""

from __future__ import annotations

import importlib.metadata
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

import graphwright as gw
from graphwright import nn
from graphwright.compiler.report import quantity
from graphwright.graph.graph import ancestors
from graphwright.terminal import say

Array: TypeAlias = NDArray[Any]

_MARGIN = 10  # columns for the label of a line
_READABLE = 60  # nodes of a diagram: of more, boxes are drawn closed


@dataclass(frozen=True)
class Task:
    """Images to learn from, images held out, and settings that suit them.

    brightest: what pixels are divided by
    hidden:    units of the hidden layer
    rate:      the share of them that dropout leaves out
    batch:     images at each training step
    """

    title: str
    images: Array
    labels: Array
    test_images: Array
    test_labels: Array
    brightest: int
    hidden: int
    rate: float
    batch: int
    epochs: int
    learning_rate: float


def digits(path: Path | None) -> Task:
    """The digits that ship, a fifth of them held out."""
    if path is not None:
        raise gw.InputError(
            "the digits come with Graphwright and need no path",
            hint="--path is for --data fashion-mnist",
        )
    images, labels = nn.data.load_digits()
    # One split for all seeds: another seed starts and shuffles otherwise, on the same images.
    train, test, train_labels, test_labels = nn.train_test_split(images, labels, seed=0)
    return Task(
        title="handwritten digits",
        images=train,
        labels=train_labels,
        test_images=test,
        test_labels=test_labels,
        brightest=16,
        hidden=128,
        rate=0.2,
        batch=32,
        epochs=30,
        learning_rate=2e-3,
    )


def fashion_mnist(path: Path | None) -> Task:
    """Zalando's pictures of clothes, in their own two parts."""
    (images, labels), (test_images, test_labels) = nn.data.load_fashion_mnist(path)
    return Task(
        title="pictures of clothes",
        images=images,
        labels=labels,
        test_images=test_images,
        test_labels=test_labels,
        brightest=255,
        hidden=256,
        rate=0.2,
        batch=128,
        epochs=6,
        learning_rate=2e-3,
    )


TASKS: dict[str, Callable[[Path | None], Task]] = {
    "digits": digits,
    "fashion-mnist": fashion_mnist,
}


@dataclass(frozen=True)
class Program:
    """The compiled parts of the demo.

    train:    (images, labels) to the loss, with all updates
    evaluate: (images, labels) to {"loss", "accuracy"}; uses the same parameters
    """

    model: nn.Module
    learning_rate: gw.Parameter
    train: gw.CompiledFunction
    evaluate: gw.CompiledFunction


def build(task: Task, seed: int) -> Program:
    """The whole way as a graph: preprocessing, model, loss, optimizer, evaluation; compiled."""
    images = gw.input("images", ("batch", *task.images.shape[1:]), gw.uint8)
    labels = gw.input("labels", ("batch",), gw.int64)
    model = nn.Sequential(
        [
            nn.Dense(task.hidden, kernel_initializer="he_normal", name="hidden"),
            nn.Activation("relu", name="activation"),
            nn.Dropout(task.rate),
            nn.Dense(int(task.labels.max()) + 1, name="output"),
        ],
        name="model",
        seed=seed,
    )
    with gw.scope("preprocess"):
        pixels = images.astype(gw.float32) / task.brightest
        pixels = pixels.reshape(pixels.shape[0], -1)

    logits = model(pixels, training=True)
    with gw.scope("loss"):
        loss = gw.ops.cross_entropy(logits, labels)
    rate = gw.parameter("learning_rate", task.learning_rate)
    optimizer = nn.Adam(rate, name="optimizer")
    updates = {**optimizer.updates(loss, model.parameters), **model.updates}
    train = gw.compile([images, labels], loss, updates)

    answers = model(pixels)
    with gw.scope("evaluation"):
        scores = {
            "loss": gw.ops.cross_entropy(answers, labels),
            "accuracy": nn.accuracy(answers, labels),
        }
    evaluate = gw.compile([images, labels], scores)
    return Program(model, rate, train, evaluate)


def run(
    *,
    data: str = "digits",
    path: Path | None = None,
    out: Path = Path("graphwright-demo"),
    epochs: int | None = None,
    seed: int = 0,
) -> float:
    """The demo, told line by line; the accuracy on the images held out, from 0 to 1.

    Raises InputError when there is no data, OSError when `out` can't be written.
    """
    version = importlib.metadata.version("graphwright")
    say(f"Graphwright {version}: a network as a graph, compiled, trained and drawn\n")
    task = TASKS[data](path)
    out.mkdir(parents=True, exist_ok=True)  # before the work, lest it be lost
    program = build(task, seed)
    _tell_model(task, program)
    _tell_compilation(task, program)
    accuracy = _train(task, program, epochs or task.epochs, seed)
    _draw(program, out)
    return accuracy


def _row(label: str, text: str) -> None:
    say(f"{label:<{_MARGIN}}{text}")


def _tell_model(task: Task, program: Program) -> None:
    height, width = task.images.shape[1:]
    learned, held_out = len(task.images), len(task.test_images)
    parameters = sum(parameter.value.size for parameter in program.model.parameters)
    _row("data", f"{learned + held_out:,} {task.title}, {height}×{width} pixels")
    _row("", f"{learned:,} to learn from, {held_out:,} held out")
    _row("model", f"{height * width} pixels → {task.hidden} hidden, relu → 10 classes")
    _row("", f"{parameters:,} parameters, {task.rate:.0%} dropout, Adam")


def _tell_compilation(task: Task, program: Program) -> None:
    built, plan = program.train.stages["built"], program.train.plan
    forward = {node for node in ancestors(built.outputs) if node.inputs}
    backward = {node for node in built.operations if node.phase == "backward" and node.inputs}
    update = {node for node in built.operations if node.inputs} - forward - backward
    _row(
        "graph",
        f"{len(forward)} operations forward, {len(backward)} backward, {len(update)} to update",
    )
    seconds = sum(record.seconds for record in program.train.compilation.records)
    _row("compile", f"{seconds * 1e3:.0f} ms, once for every batch size")
    kernels = {step.node for step in plan.steps if not step.view}
    bodies = (node.op.body.operations if node.op.body else (node,) for node in kernels)
    work = [node for body in bodies for node in body if node.inputs and not node.op.view]
    _row("fusion", f"{len(work)} operations after simplifying, in {len(kernels)} kernels")
    layout = plan.layout({"batch": task.batch})
    _row("memory", f"{quantity(layout.peak, 'B')} for a batch of {task.batch}")
    _row(
        "",
        f"{quantity(layout.total, 'B')} if none were used twice, "
        f"{quantity(layout.lower_bound, 'B')} at the very least",
    )
    say("\nOne evaluation, as it will run:\n")
    say(program.evaluate.summary(batch=task.batch))


def _train(task: Task, program: Program, epochs: int, seed: int) -> float:
    batches = nn.batches(task.images, task.labels, size=task.batch, shuffle=True, seed=seed)
    told = {1, *(math.ceil(epochs * part / 5) for part in range(1, 6))}
    margin = " " * _MARGIN
    say(f"\n{'training':<{_MARGIN}}epoch    loss   held out: loss  accuracy")
    seconds = 0.0
    scores: dict[str, Array] = {}
    with tqdm(total=epochs * len(batches), unit=" steps", leave=False, disable=None) as bar:
        for epoch in range(1, epochs + 1):
            start = time.perf_counter()
            # A new rate needs no new compilation: it is a parameter.
            program.learning_rate.value = task.learning_rate * (1 - (epoch - 1) / epochs)
            losses = []
            for images, labels in batches:
                losses.append(program.train(images, labels))
                bar.update()
            seconds += time.perf_counter() - start
            if epoch in told:
                scores = program.evaluate(task.test_images, task.test_labels)
                bar.clear()
                say(
                    f"{margin}{epoch:>5}  {np.mean(losses):.4f}   {scores['loss']:>14.4f}"
                    f"  {scores['accuracy']:>8.1%}"
                )
    accuracy = float(scores["accuracy"])
    right, count = round(accuracy * len(task.test_images)), len(task.test_images)
    say()
    _row("result", f"{accuracy:.1%} of the images held out are recognized, {right:,} of {count:,}")
    _row("", f"{epochs * len(batches):,} steps in {seconds:.1f} s")
    return accuracy


def _draw(program: Program, out: Path) -> None:
    step = program.train.stages["built"]
    pictures: list[tuple[str, Any, int | None, str]] = [
        ("model", program.evaluate.stages["built"], None, "from pixels to accuracy"),
        ("training", step, _READABLE, "one step: forward, backward, update"),
        ("compiled", program.train, None, "the same step as it runs, in kernels"),
    ]
    formats, problem = [".txt", ".mmd", ".svg"], None
    _row("drawn", f"in {out}{os.sep}")
    for name, what, size, meaning in pictures:
        for ending in tuple(formats):
            try:
                gw.draw(what, out / f"{name}{ending}", max_nodes=size)
            except gw.RenderError as error:
                if ending != ".svg":
                    raise
                formats.remove(ending)
                problem = error
        _row("", f"{name:<8}  {' '.join(formats):<14}  {meaning}")
    passes = out / "passes.txt"
    passes.write_text(program.train.explain() + "\n", encoding="utf-8")
    _row("", f"{'passes':<8}  {'.txt':<14}  what the compiler did to it, and why")
    if problem is not None:
        _row("no .svg", problem.what)
        _row("", str(problem.hint))
