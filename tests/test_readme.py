"""The README is true: its programs run, its picture is the demo graph, its links lead somewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from graphwright import demo

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_there_is_a_first_program():
    (program,) = blocks("python")
    assert len(program.splitlines()) <= 30


@pytest.mark.parametrize("program", blocks("python"))
def test_the_programs_run_as_they_stand(program, tmp_path):
    path = tmp_path / "program.py"
    path.write_text(program, encoding="utf-8")
    command = [sys.executable, "-W", "error", str(path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert float(re.search(r"^([\d.]+)% of", done.stdout)[1]) > 95
    assert (tmp_path / "training.mmd").exists()


def test_the_two_lines_stand_each_in_a_block_of_its_own():
    lines = [block.strip() for block in blocks("")]
    start = "python3 -m venv .venv && .venv/bin/pip install -e "
    assert f"{start}'.[demo]' && .venv/bin/graphwright demo" in lines
    assert f"{start}'.[test]' && .venv/bin/pytest" in lines


def test_the_picture_has_the_stages_of_the_demo():
    (picture,) = blocks("mermaid")
    drawn = set(re.findall(r"\b(\w+)[\[(]", picture))
    program = demo.build(demo.digits(None), seed=0)
    graphs = program.train.stages["built"], program.evaluate.stages["built"]
    scopes = [node.scope.split("/") for graph in graphs for node in graph.operations]
    stages = {path[1] if path[0] == "model" else path[0] for path in scopes}
    inputs = {tensor.name for tensor in graphs[0].inputs}
    assert stages | inputs <= drawn


def test_links_to_files_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)", TEXT)
    files = [link for link in links if not link.startswith("http")]
    assert {"docs/design.md", "examples/"} <= set(files)
    for link in files:
        assert (ROOT / link).exists(), link
