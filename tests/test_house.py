"""How the house stands: what imports what, what is packaged, how long files are."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import networkx

ROOT = Path(__file__).parent.parent
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
MAPPED = SETUPTOOLS["package-dir"]

# Each folder may import those before it; `nn`, `viz` and `interop` none of one another.
ARROW = [["graph"], ["ops"], ["compiler"], ["runtime"], ["nn", "viz", "interop"], ["api"]]
LEVEL = {folder: level for level, folders in enumerate(ARROW) for folder in folders}
LIBRARY = sorted(set(MAPPED.values()))

# Programs and packages that are loaded where they are used, because they are heavy or optional.
LOADED_WHEN_USED = {"networkx", "graphviz", "llvmlite", "ml_dtypes", "tqdm", "IPython", "onnx"}
LOADED_WHEN_USED |= {"subprocess"}  # of Python's own, what costs an import milliseconds
# Of ours, what is loaded when it is asked for: who runs a model does not need it.
LOADED_WHEN_ASKED_FOR = {"graphwright.testing", "graphwright.runtime.native"}
LOADED_WHEN_ASKED_FOR |= {"graphwright.runtime.bounds", "graphwright.runtime.compare"}
LOADED_WHEN_ASKED_FOR |= {"graphwright.compiler.native.report", "graphwright.runtime.nonfinite"}
LOADED_WHEN_ASKED_FOR |= {"graphwright.runtime.profile", "graphwright.compiler.native.generate"}
LOADED_WHEN_ASKED_FOR |= {"graphwright.runtime.pool", "graphwright.compiler.native.objects"}
LONGEST_FILE = 450


def library_files() -> list[Path]:
    return sorted(path for folder in LIBRARY for path in (ROOT / folder).rglob("*.py"))


def module_name(path: Path) -> str:
    """`graph/node.py` is `graphwright.graph.node`, `api/cli.py` is `graphwright.cli`."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    if parts[0] == "api":
        parts = parts[1:]
    if parts and parts[-1] == "__init__":
        parts = parts[:-1]
    return ".".join(["graphwright", *parts])


def folder_of(module: str) -> str:
    """The folder at the top level that a module of ours lies in."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in LEVEL else "api"


MODULES = {module_name(path): path for path in library_files()}
TREES = {module: ast.parse(path.read_text()) for module, path in MODULES.items()}


def imported(node: ast.stmt) -> Iterator[str]:
    """The modules that an import statement names, ours as far as they are modules."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        for alias in node.names:
            full = f"{node.module}.{alias.name}"
            yield full if full in MODULES else str(node.module)


def imports(module: str) -> Iterator[tuple[str, bool, bool]]:
    """(imported module, only for type checkers, within a function), for all imports of a module."""

    def walk(node: ast.AST, checking: bool, inside: bool) -> Iterator[tuple[str, bool, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import | ast.ImportFrom):
                for name in imported(child):
                    yield name, checking, inside
            function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            test = ast.unparse(child.test) if isinstance(child, ast.If) else ""
            yield from walk(child, checking or test == "TYPE_CHECKING", inside or function)

    yield from walk(TREES[module], False, False)


def ours(name: str) -> bool:
    return name == "graphwright" or name.startswith("graphwright.")


def test_imports_point_one_way_for_type_checkers_too() -> None:
    wrong = [
        f"{module} imports {name}"
        for module in MODULES
        for name, _, _ in imports(module)
        if ours(name)
        and folder_of(name) != folder_of(module)
        and LEVEL[folder_of(name)] >= LEVEL[folder_of(module)]
    ]
    assert wrong == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = networkx.DiGraph()
    for module in MODULES:
        for name, checking, _ in imports(module):
            # A package's own name stands for its `__init__`, which its modules' import runs too.
            if ours(name) and not checking and name != module:
                graph.add_edge(module, name)
    assert list(networkx.simple_cycles(graph)) == []


def test_imports_stand_at_the_top() -> None:
    wrong = [
        f"{module} imports {name} in a function"
        for module in MODULES
        for name, _, inside in imports(module)
        if inside
    ]
    assert wrong == []


def test_only_heavy_and_optional_packages_are_imported_by_name() -> None:
    wrong = []
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if called.split(".")[-1] in ("import_module", "__import__"):
                assert isinstance(node, ast.Call)
                name = node.args[0].value if isinstance(node.args[0], ast.Constant) else "?"
                known = LOADED_WHEN_USED | LOADED_WHEN_ASKED_FOR
                if known.isdisjoint({str(name), str(name).split(".")[0]}):
                    wrong.append(f"{module}: {ast.unparse(node)}")
    assert wrong == []


def test_importing_graphwright_loads_no_heavy_package() -> None:
    code = (
        "import sys, graphwright\n"
        "print(graphwright.__file__)\n"
        f"print(*sorted({LOADED_WHEN_USED!r} & {{name.split('.')[0] for name in sys.modules}}))\n"
        f"print(*sorted({LOADED_WHEN_ASKED_FOR!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    file, loaded, ours = done.stdout.split("\n")[:3]
    assert Path(file).name == "__init__.py"
    assert loaded == ours == ""


def test_every_file_fits_in_the_head() -> None:
    lengths = {
        path.relative_to(ROOT): len(path.read_text().splitlines())
        for path in (*library_files(), *(ROOT / "tests").rglob("*.py"))
        if not is_index(path)
    }
    assert {path: n for path, n in lengths.items() if n > LONGEST_FILE} == {}


def is_index(path: Path) -> bool:
    """A list of names, to look something up in: imports and `__all__`, no code."""
    return path.name == "__init__.py" and all(
        isinstance(node, ast.Import | ast.ImportFrom | ast.Assign | ast.Expr)
        for node in ast.parse(path.read_text()).body
    )


def public_definitions(module: str) -> Iterator[tuple[str, ast.AST]]:
    yield module, TREES[module]
    for node in TREES[module].body:
        named = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if named and not node.name.startswith("_") and not _overload(node):
            yield f"{module}.{node.name}", node


def _overload(node: ast.AST) -> bool:
    return any(ast.unparse(d) in ("overload", "typing.overload") for d in node.decorator_list)  # type: ignore[attr-defined]


def test_every_module_and_every_public_function_and_class_says_what_it_is() -> None:
    bare = [
        name
        for module in MODULES
        for name, node in public_definitions(module)
        if len(ast.get_docstring(node) or "") < 4  # type: ignore[arg-type]
    ]
    assert bare == []


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:  # not a checkout: an unpacked archive
        found = [path for folder in LIBRARY for path in (ROOT / folder).rglob("*")]
        return [path for path in found if path.is_file() and "__pycache__" not in path.parts]
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_names_a_place_on_some_machine() -> None:
    place = re.compile(r"(?<![\w.)}])/(home|root|work|Users|mnt|usr/local)/\w|[A-Z]:\\\\?Users")
    found = []
    for path in tracked_files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue  # a picture or an array
        for number, line in enumerate(text.splitlines(), 1):
            if place.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}")
    assert found == []


def test_the_package_is_assembled_from_every_folder_that_holds_part_of_it() -> None:
    assert MAPPED["graphwright"] == "api"
    for name, folder in MAPPED.items():
        assert (ROOT / folder / "__init__.py").is_file(), folder
        assert name == "graphwright" or name == "graphwright." + folder.replace("/", ".")
    held = {module_name(path.parent / "__init__.py") for path in library_files()}
    assert sorted(SETUPTOOLS["packages"]) == sorted(held)
    beside = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert beside - set(MAPPED.values()) <= {"tests", "benchmarks", "examples"}


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {path.parent for path in library_files()}
    assert {folder for folder in folders if not (folder / "__init__.py").is_file()} == set()


def test_data_files_are_packaged() -> None:
    patterns = {
        module: {path.name for pattern in globs for path in _package_folder(module).glob(pattern)}
        for module, globs in SETUPTOOLS["package-data"].items()
    }
    assert "py.typed" in patterns["graphwright"]
    for folder in LIBRARY:
        for path in (ROOT / folder).rglob("*"):
            data = (
                path.is_file()
                and path.suffix not in (".py", ".pyc")
                and "__pycache__" not in str(path)
            )
            if data:
                assert path.name in patterns.get(module_name(path.parent / "__init__.py"), ()), path


def _package_folder(module: str) -> Path:
    first, *rest = module.split(".")[1:] or ["api"]
    return ROOT.joinpath(first, *rest)


def test_the_package_declares_its_types() -> None:
    assert (ROOT / "api" / "py.typed").read_text() == ""


def test_nothing_of_the_package_is_hidden_by_a_folder_of_its_name() -> None:
    assert not (ROOT / "graphwright").exists()


def test_the_readme_has_the_two_lines() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    start = "python3 -m venv .venv && .venv/bin/pip install -e "
    assert start + "'.[demo]' && .venv/bin/graphwright demo" in lines
    assert [line for line in lines if line.endswith(".venv/bin/pytest")] == [
        start + "'.[test]' && .venv/bin/pytest"
    ]
