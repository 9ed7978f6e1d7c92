"""The demo and the command: run as a user runs them, and read as one reads them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_data import fashion

from graphwright import cli, demo
from graphwright.terminal import readable

COMMAND = Path(sys.executable).with_name("graphwright")


def command(*arguments, cwd, **environment):
    """Run the installed command; its finished process."""
    return subprocess.run(
        [COMMAND, *arguments],
        cwd=cwd,
        # One thread: the matrices are small, and the threads of other tests are many.
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8", **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )


def accuracy_in(output):
    return float(re.search(r"^result +([\d.]+)%", output, re.MULTILINE)[1])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    return folder, command("demo", cwd=folder)


def test_the_demo_recognizes_the_digits_held_out(finished):
    _, done = finished
    assert done.returncode == 0, done.stderr
    assert accuracy_in(done.stdout) >= 97
    right, count = re.search(r"recognized, (\d+) of (\d+)", done.stdout).groups()
    assert int(count) == 360 and accuracy_in(done.stdout) == round(100 * int(right) / 360, 1)


def test_the_demo_tells_its_story_without_noise(finished):
    _, done = finished
    assert done.stderr == ""  # no progress bar where no one watches
    labels = re.findall(r"^([a-z]+) {2,}", done.stdout, re.MULTILINE)
    story = ["data", "model", "graph", "compile", "fusion", "memory", "training", "result", "drawn"]
    assert [label for label in labels if label in story] == [*story[:6], "memory", *story[6:]]
    assert "1,797 handwritten digits, 8×8 pixels" in done.stdout
    assert "1,437 to learn from, 360 held out" in done.stdout
    assert not [line for line in done.stdout.splitlines() if line != line.rstrip()]


def test_what_the_demo_says_of_fusion_and_memory_is_a_saving(finished):
    _, done = finished
    operations, kernels = re.search(
        r"(\d+) operations after .* (\d+) kernels", done.stdout
    ).groups()
    assert int(kernels) < int(operations) / 3
    figures = re.search(
        r"memory +([\d.]+) kB for a batch of 32\n +([\d.]+) kB if none .*, ([\d.]+) kB at the very",
        done.stdout,
    )
    peak, total, least = map(float, figures.groups())
    assert least <= peak <= total / 2


def test_the_demo_writes_its_diagrams_where_it_says(finished):
    folder, done = finished
    assert f"in graphwright-demo{os.sep}" in done.stdout
    out = folder / "graphwright-demo"
    for name in ("model", "training", "compiled"):
        for ending in (".txt", ".mmd"):
            assert "relu" in (out / f"model{ending}").read_text(encoding="utf-8")
            assert "preprocess" in (out / f"{name}{ending}").read_text(encoding="utf-8")
    assert "log_softmax" in (out / "passes.txt").read_text(encoding="utf-8")
    if shutil.which("dot"):
        assert "<svg" in (out / "training.svg").read_text(encoding="utf-8")
    else:
        assert "install Graphviz" in done.stdout


def test_the_scopes_are_the_stages_of_the_way():
    program = demo.build(demo.digits(None), seed=0)
    step = program.train.stages["built"]
    scopes = {node.scope for node in step.operations}
    wanted = ("preprocess", "hidden", "activation", "dropout", "output", "loss", "optimizer")
    for scope in wanted:
        assert any(scope in path.split("/") for path in scopes), scope
    assert {node.phase for node in step.operations} == {"forward", "backward"}
    evaluation = program.evaluate.stages["built"]
    assert not any("dropout" in node.scope for node in evaluation.operations)
    assert set(evaluation.parameters) <= set(step.parameters)
    assert all("demo.py" in str(node.source) for node in step.operations)


def test_the_demo_is_the_same_again_and_another_with_another_seed(tmp_path, capsys):
    def told(seed):
        accuracy = demo.run(out=tmp_path / "out", epochs=2, seed=seed)
        table = re.findall(r"^ +\d+ {2}[\d.]+ +[\d.]+ +[\d.]+%$", capsys.readouterr().out, re.M)
        return accuracy, table

    first = told(0)
    assert len(first[1]) == 2
    assert told(0) == first != told(1)


def test_the_demo_does_without_dot_and_without_unicode(tmp_path):
    done = command("demo", "--epochs", "1", cwd=tmp_path, PATH="", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii() and "8x8 pixels" in done.stdout and "?" not in done.stdout
    assert "no .svg" in done.stdout and "apt-get install graphviz" in done.stdout
    files = {path.name for path in (tmp_path / "graphwright-demo").iterdir()}
    assert {"model.mmd", "model.txt", "training.mmd", "compiled.txt"} <= files
    assert not any(name.endswith(".svg") for name in files)


def test_the_demo_learns_clothes_when_their_files_are_there(tmp_path, capsys):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (300, 28, 28), np.uint8)
    labels = (np.arange(300) % 10).astype(np.uint8)
    folder = fashion(
        tmp_path,
        train_images=images,
        train_labels=labels,
        t10k_images=images[:50],
        t10k_labels=labels[:50],
    )
    arguments = ["--data", "fashion-mnist", "--path", str(folder), "--out", str(tmp_path / "out")]
    assert cli.main(["demo", *arguments, "--epochs", "1"]) == 0
    output = capsys.readouterr().out
    assert "350 pictures of clothes, 28×28 pixels" in output
    assert "300 to learn from, 50 held out" in output


def test_missing_clothes_are_an_error_that_says_how_to_get_them(tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["--data", "fashion-mnist", "--path", str(tmp_path), "--out", str(out)]
    assert cli.main(["demo", *arguments]) == 1
    assert "apt-get install dataset-fashion-mnist" in capsys.readouterr().err
    assert not out.exists()


# The command.


def test_the_command_without_arguments_says_what_there_is(capsys):
    assert cli.main([]) == 0
    output = capsys.readouterr().out
    assert "usage: graphwright" in output and "demo" in output


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--version"], 0, "graphwright 0."),
        (["demo", "--help"], 0, "--data"),
        (["dmo"], 2, "did you mean 'demo'?"),
        (["demo", "--data", "digitz"], 2, "did you mean 'digits'?"),
        (["demo", "--epochs", "0"], 2, "'0' is not a whole number from 1"),
        (["demo", "--seed", "x"], 2, "'x' is not a whole number from 0"),
        (["demo", "--frobnicate"], 2, "--frobnicate"),
    ],
)
def test_the_command_answers_and_refuses(capsys, arguments, status, words):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == status
    output = capsys.readouterr()
    assert words in (output.err if status else output.out)
    assert not status or "--help lists" in output.err


def test_a_path_for_the_digits_is_refused(capsys, tmp_path):
    assert cli.main(["demo", "--path", str(tmp_path)]) == 1
    assert "the digits come with Graphwright" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_told_before_the_work(capsys, tmp_path):
    file = tmp_path / "file"
    file.write_text("here first")
    assert cli.main(["demo", "--out", str(file)]) == 1
    output = capsys.readouterr()
    assert "file" in output.err and "training" not in output.out
    assert file.read_text() == "here first"


def test_what_a_terminal_lacks_is_printed_plainly():
    assert readable("8×8 → 10 ─ ünï", "utf-8") == "8×8 → 10 ─ ünï"
    assert readable("8×8 → 10 ─ ü", "ascii") == "8x8 > 10 - ?"
    assert readable("8×8", "latin-1") == "8×8"
    assert readable("a → b", "no-such-encoding") == "a > b"
