"""`gw.draw` and notebooks: files, formats, the program `dot`, and what can't be drawn."""

import os
import re
import shutil
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from support.diagrams import read_dot, read_mermaid

import graphwright as gw
from graphwright import ops
from graphwright.graph.graph import Graph
from graphwright.viz import draw, mimebundle
from graphwright.viz.draw import graph_of

INSTALL = "apt-get install graphviz, brew install graphviz, or conda install"
MAGIC = {".svg": b"<?xml", ".png": b"\x89PNG\r\n\x1a\n", ".pdf": b"%PDF-"}
HAS_DOT = shutil.which("dot") is not None


def model():
    """A scope, a parameter, an output."""
    x = gw.input("x", ("batch", 3))
    w = gw.parameter("w", np.ones((3, 2), np.float32))
    with gw.scope("layer"):
        return ops.exp(x @ w)


@pytest.fixture
def no_dot(monkeypatch, tmp_path):
    """A machine without Graphviz."""
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))


@pytest.fixture
def a_dot(monkeypatch, tmp_path):
    """Install a program `dot` of our own."""

    def install(script):
        folder = tmp_path / "programs"
        folder.mkdir(exist_ok=True)
        (folder / "dot").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "dot").chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))

    return install


def test_the_ending_says_the_format(tmp_path):
    assert draw(model(), tmp_path / "m.dot") == tmp_path / "m.dot"
    assert read_dot((tmp_path / "m.dot").read_text()).path("exp") == ["layer"]
    draw(model(), str(tmp_path / "m.MMD"))
    assert read_mermaid((tmp_path / "m.MMD").read_text()).path("exp") == ["layer"]
    draw(model(), tmp_path / "m.txt")
    assert "→ %0 = matmul(x, w)" in (tmp_path / "m.txt").read_text()


@pytest.mark.parametrize("ending", MAGIC)
def test_dot_makes_pictures_where_it_is_installed(tmp_path, ending):
    path = tmp_path / f"model{ending}"
    if not HAS_DOT:
        with pytest.raises(gw.RenderError, match="needs the program dot"):
            draw(model(), path)
        return
    draw(model(), path)
    first = path.read_bytes()
    assert first.startswith(MAGIC[ending]) and len(first) > 500
    if ending == ".svg":
        texts = [text.strip() for text in ElementTree.fromstring(first).itertext()]
        assert {"x", "w", "layer", "exp", "f32[batch,2]"} <= set(texts)
    time.sleep(1.1 if ending == ".pdf" else 0)  # a date in the file would now differ
    draw(model(), path)
    assert path.read_bytes() == first


HOSTILE = [
    "<b>&amp;",
    '"',
    "\\",
    "\\N\\G",
    "#",
    "}",
    "-->",
    "$$x$$",
    "]",
    "`",
    "é∑字",
    "]]>",
    "end",
]


@pytest.mark.parametrize("scope", HOSTILE)
def test_dot_shows_hostile_scopes_as_they_are(tmp_path, scope):
    with gw.scope(scope):
        y = ops.exp(gw.input("x", (4,)))
    if not HAS_DOT:
        with pytest.raises(gw.RenderError):
            draw(y, tmp_path / "m.svg")
        return
    draw(y, tmp_path / "m.svg")
    tree = ElementTree.parse(tmp_path / "m.svg")
    assert scope in [text.strip() for text in tree.getroot().itertext()]
    tooltips = [value for e in tree.iter() for name, value in e.items() if name.endswith("}title")]
    assert any(tooltip.split("\n")[1:2] == [scope.replace("\\", "∖")] for tooltip in tooltips)


def test_arguments_reach_dot_and_its_answer_the_file(tmp_path, a_dot):
    a_dot('printf "%s " "$@"')
    draw(model(), tmp_path / "m.png")
    assert (tmp_path / "m.png").read_text().split() == ["-Kdot", "-Tpng"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.png", "programs"]


@pytest.mark.parametrize("ending", MAGIC)
def test_without_dot_the_error_names_the_command_that_installs_it(tmp_path, no_dot, ending):
    path = tmp_path / f"model{ending}"
    with pytest.raises(gw.RenderError, match=re.escape(INSTALL)) as caught:
        draw(model(), path)
    assert f"{ending} needs the program dot" in str(caught.value)
    assert "test_draw.py" in str(caught.value)
    assert not path.exists()


def test_text_mermaid_and_dot_need_no_program(tmp_path, no_dot):
    for ending in ("txt", "mmd", "dot"):
        assert draw(model(), tmp_path / f"model.{ending}").stat().st_size > 100


def test_a_failure_of_dot_is_told_and_leaves_the_file_as_it_was(tmp_path, a_dot):
    a_dot("echo 'out of ink' >&2; exit 3")
    path = tmp_path / "m.svg"
    path.write_text("yesterday's")
    with pytest.raises(gw.RenderError, match="dot failed: out of ink"):
        draw(model(), path)
    assert path.read_text() == "yesterday's"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.svg", "programs"]


def test_a_file_that_can_not_be_replaced_is_left_and_nothing_lies_beside_it(tmp_path):
    (tmp_path / "m.txt").mkdir()
    with pytest.raises(gw.RenderError, match=r"m\.txt can't be written: "):
        draw(model(), tmp_path / "m.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["m.txt"]


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "m.txt"
    path.write_text("yesterday's")

    def half(self, data):
        with open(self, "wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(gw.RenderError, match=r"m\.txt can't be written: No space left on device"):
        draw(model(), path)
    assert path.read_text() == "yesterday's"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_has_the_permissions_of_any_other_and_a_link_stays_a_link(tmp_path):
    (tmp_path / "other").write_text("")
    (tmp_path / "link.txt").symlink_to(tmp_path / "real.txt")
    draw(model(), tmp_path / "link.txt")
    assert (tmp_path / "link.txt").is_symlink()
    real = tmp_path / "real.txt"
    assert real.read_text() and real.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_relative_paths_are_taken_from_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw(model(), "model.txt")
    assert (tmp_path / "model.txt").exists()


# What is drawn.


def test_tensors_structures_graphs_and_functions_can_be_drawn():
    y = model()
    (x,) = graph_of(y).inputs
    assert x.name == "x"
    graph = Graph([x], [y])
    assert graph_of(y) == graph and graph_of(graph) is graph
    assert graph_of({"a": y, "b": [y, (x,)]}) == Graph([x], [y, y, x])
    assert graph_of(gw.parameter("w", [1.0])).inputs == ()


def test_a_stage_of_a_compiled_function_is_chosen_by_its_name(tmp_path):
    x = gw.input("x", (4,))
    function = gw.compile(x, ops.exp(x) * 2.0 + 0.0)
    draw(function, tmp_path / "fused.txt")
    draw(function, tmp_path / "built.txt", stage="built")
    assert "fused elementwise" in (tmp_path / "fused.txt").read_text()
    assert "fused" not in (tmp_path / "built.txt").read_text()
    assert "add(%" in (tmp_path / "built.txt").read_text()
    with pytest.raises(gw.AttributeValueError, match=r"no stage 'bilt'") as caught:
        draw(function, tmp_path / "m.txt", stage="bilt")
    assert "one of built, " in str(caught.value)
    with pytest.raises(gw.AttributeValueError, match="only compiled functions have stages"):
        draw(x, tmp_path / "m.txt", stage="built")


def test_the_direction_is_down_or_right(tmp_path):
    assert "rankdir=TB" in draw(model(), tmp_path / "m.dot").read_text()
    assert "rankdir=LR" in draw(model(), tmp_path / "m.dot", direction="right").read_text()
    assert "flowchart TB" in draw(model(), tmp_path / "m.mmd").read_text()
    assert "flowchart LR" in draw(model(), tmp_path / "m.mmd", direction="right").read_text()
    with pytest.raises(gw.AttributeValueError, match="no direction 'up'"):
        draw(model(), tmp_path / "m.dot", direction="up")


def test_larger_graphs_are_folded_but_never_as_text(tmp_path):
    x = gw.input("x", (4,))
    with gw.scope("many"):
        y = x
        for _ in range(30):
            y = ops.exp(y)
    assert "30 operations" in draw(y, tmp_path / "m.dot", max_nodes=20).read_text().split("->")[0]
    assert draw(y, tmp_path / "m.dot", max_nodes=20).read_text().count("<exp>") == 0
    for limit in (32, 1000, None):
        assert draw(y, tmp_path / "m.dot", max_nodes=limit).read_text().count("<exp>") == 30
    assert draw(y, tmp_path / "m.txt", max_nodes=1).read_text().count("= exp(") == 30
    with pytest.raises(gw.AttributeValueError, match="max_nodes must be 1 or more, got 0"):
        draw(y, tmp_path / "m.dot", max_nodes=0)


@pytest.mark.parametrize("what", [None, [], 3, "x", [1.0], object(), {"a": None}])
def test_what_is_no_tensor_can_not_be_drawn(tmp_path, what):
    with pytest.raises(gw.AttributeValueError, match="can't be drawn") as caught:
        draw(what, tmp_path / "m.txt")
    assert "gw.compile" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["m.jpg", "m", ".svg", "m.svg.bak", ""])
def test_an_unknown_ending_is_refused_and_the_known_ones_are_listed(tmp_path, name):
    with pytest.raises(gw.AttributeValueError, match="ends in no format") as caught:
        draw(model(), tmp_path / name)
    assert ".svg, .png, .pdf, .dot, .mmd, .txt" in str(caught.value)


def test_a_missing_folder_and_a_path_that_is_none_are_refused(tmp_path):
    with pytest.raises(gw.RenderError, match=r"the folder of .*m\.txt' does not exist"):
        draw(model(), tmp_path / "nowhere" / "m.txt")
    with pytest.raises(gw.AttributeValueError, match="the path must be a string or a path"):
        draw("m.txt", model())
    assert list(tmp_path.iterdir()) == []


# Notebooks.


def test_notebooks_show_a_picture_and_always_text():
    y = model()
    bundle = y._repr_mimebundle_()
    assert bundle == mimebundle(y)
    assert bundle["text/plain"] == repr(y)
    assert set(bundle) == {"text/plain", "image/svg+xml" if HAS_DOT else "text/vnd.mermaid"}
    for shown in (graph_of(y), gw.compile(graph_of(y).inputs, y)):
        bundle = shown._repr_mimebundle_(include=None, exclude=None)
        assert "matmul(x, w)" in bundle["text/plain"]
        assert "<svg" in bundle.get("image/svg+xml", "<svg")


def test_notebooks_without_dot_get_mermaid(no_dot):
    bundle = mimebundle(model())
    assert set(bundle) == {"text/plain", "text/vnd.mermaid"}
    assert read_mermaid(bundle["text/vnd.mermaid"]).path("exp") == ["layer"]


def test_a_picture_in_a_notebook_is_folded_to_a_size_that_is_quick(no_dot):
    y = gw.input("x", (4,))
    with gw.scope("many"):
        for _ in range(300):
            y = ops.exp(y)
    assert "300 operations" in mimebundle(y)["text/vnd.mermaid"]


def test_displaying_never_fails():
    two = gw.input("x", (4,)) + gw.input("x", (4,))  # no graph: two inputs of one name
    assert mimebundle(two) == {"text/plain": repr(two)}


def test_diagrams_load_graphviz_only_when_it_draws(tmp_path):
    code = (
        "import sys, graphwright.viz as viz, graphwright as gw\n"
        "viz.draw(gw.input('x', (4,)) + 1.0, sys.argv[1])\n"
        "print('graphviz' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "m.dot")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"


def test_two_threads_may_draw_to_one_file(tmp_path):
    errors = []

    def work():
        try:
            for _ in range(20):
                draw(model(), tmp_path / "m.txt")
        except Exception as error:  # told by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [] and os.listdir(tmp_path) == ["m.txt"]
    assert Path(tmp_path / "m.txt").read_text().endswith("\n")
