"""docs/operators.md says what the operators say of themselves, today."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from graphwright.graph.operator import operators

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def reference():
    path = ROOT / "scripts" / "operators.py"
    spec = importlib.util.spec_from_file_location("operators_script", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(reference):
    # Not compared as a whole: the first row that differs is what one wants to see.
    new = reference.page().splitlines()
    old = PAGE.splitlines()
    changed = [line for line in new if line not in set(old)]
    assert (changed, len(new), new) == ([], len(old), old), "run scripts/operators.py"


def test_the_script_checks_the_page_that_it_writes(reference, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(reference, "PAGE", tmp_path / "operators.md")
    assert reference.main(["--check"]) == 1
    assert "run scripts/operators.py" in capsys.readouterr().err
    assert reference.main([]) == 0
    assert reference.main(["--check"]) == 0


def test_every_operator_has_one_row(reference):
    rows = re.findall(r"^\| \[`(.+?)`\]\((\S+)\) \|", PAGE, re.MULTILINE)
    own = [op for op in operators.values() if op.__module__.startswith("graphwright.")]
    assert len(rows) == len(own)
    for _, link in rows:
        assert (ROOT / "docs" / link).is_file(), link


def test_every_row_is_whole(reference):
    rows = [line for line in PAGE.splitlines() if line.startswith("| [")]
    for row in rows:
        cells = re.split(r"(?<!\\)\|", row)
        assert len(cells) == len(reference.COLUMNS) + 2, row
        assert cells[2].strip(), row


def test_modules_named_in_families_exist(reference):
    modules = {op.__module__.split(".")[-1] for op in operators.values()}
    assert reference.FAMILY.keys() - modules <= {"median", "random"}
