"""`gw.compile`: from tensors to a function on NumPy arrays."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from graphwright.compiler.pipeline import NATIVE_PIPELINE, PIPELINE, Compilation, compile_graph
from graphwright.compiler.plan import Plan
from graphwright.compiler.report import explain, stage_text, summary
from graphwright.compiler.schedule import TYPICAL_SIZE
from graphwright.compiler.verify import sample
from graphwright.graph.dim import Dim, names_of
from graphwright.graph.display import Displayed
from graphwright.graph.errors import AttributeValueError, GraphError
from graphwright.graph.graph import Graph
from graphwright.graph.leaf import Parameter
from graphwright.graph.source import here
from graphwright.graph.structure import flatten, unflatten
from graphwright.graph.tensor import Tensor
from graphwright.runtime.arguments import Arguments, bind
from graphwright.runtime.execute import Executor
from graphwright.runtime.uncollected import uncollected

if TYPE_CHECKING:
    from graphwright.compiler.native.generate import NativeCode
    from graphwright.runtime.native import NativeExecutor
    from graphwright.runtime.profile import Profile

Structure: TypeAlias = Any
"""A tensor, None, or a tuple, list or dict of structures."""


def compile(
    inputs: Tensor | Sequence[Tensor],
    outputs: Structure,
    updates: Mapping[Parameter, Tensor] | None = None,
    *,
    backend: Literal["native", "numpy"] = "native",
    check: bool | Literal["bounds", "nan"] | Sequence[object] = False,
) -> CompiledFunction:
    """Compile a graph to a function that takes and gives NumPy arrays.

    inputs:  the inputs, in the order in which calls will bring arrays
    outputs: a tensor, or tensors in tuples, lists and dicts; calls return the same structure
    updates: the next value of each parameter that a call changes; all of them are read first,
             and either all change or, when a call raises, none
    backend: "native", generated code for the CPU at hand, but for operators that have none;
             "numpy", kernels from NumPy, one for each operation; both with one arena
    check:   True compares every pass before and after on drawn values, and native code with NumPy
             step by step; a sequence of arrays, one for each input, compares on those;
             "bounds" makes native code that looks where it reads and writes, in every call;
             "nan" stops a call at the first step that makes nan or infinity of what has none

    The function works for any sizes of the named dimensions, and from several threads.
    Raises GraphError for what is no graph, VerificationError when a check fails. Calls raise
    VerificationError for what goes astray with "bounds", CheckError for what "nan" finds; then no
    parameter has changed.
    """
    if backend not in ("native", "numpy"):
        raise AttributeValueError(
            f"there is no backend {backend!r}", source=here(), hint='backend="native", or "numpy"'
        )
    listed = [inputs] if isinstance(inputs, Tensor) else _listed(inputs)
    leaves = flatten(outputs)
    for leaf in [*listed, *leaves]:
        if not isinstance(leaf, Tensor):
            raise GraphError(
                f"inputs and outputs must be tensors, got {leaf!r}",
                source=here(),
                hint="wrap arrays with gw.constant",
            )
    graph = Graph(listed, leaves, updates)
    _check_dimensions(graph)
    each_call = isinstance(check, str) and check in _EACH_CALL
    compared = check is not False and not each_call
    samples = None if isinstance(check, bool) or each_call else _samples(graph, check)
    # With groups as steps, "nan" tells the same on both backends.
    grouped = backend == "native" or (each_call and check == "nan")
    passes = NATIVE_PIPELINE if grouped else PIPELINE
    with uncollected():
        compilation = compile_graph(graph, passes=passes, check=compared, samples=samples)
        executor = _executor(compilation.plan, backend, check if each_call else None)
    # On values that are drawn, a loop that ends on the user's may not.
    endless = samples is None and any(step.op.endless for step in compilation.plan.steps)
    if compared and backend == "native" and not endless:
        compare = importlib.import_module("graphwright.runtime.compare").compare
        compare(compilation.plan, executor.code, sample(graph, samples))
    return CompiledFunction(compilation, outputs, executor)


_EACH_CALL = ("bounds", "nan")


def _executor(plan: Plan, backend: str, check: object) -> Any:
    """What runs a plan.

    Modules are loaded when used: what generates code takes a while.
    """
    if backend == "numpy":
        if check == "bounds":
            raise AttributeValueError(
                'check="bounds" is for native code', source=here(), hint='add backend="native"'
            )
        if check == "nan":
            return importlib.import_module("graphwright.runtime.nonfinite").FiniteExecutor(plan)
        return Executor(plan)
    native = importlib.import_module("graphwright.runtime.native")
    bind = native.BoundPlan
    if check == "bounds":
        bind = importlib.import_module("graphwright.runtime.bounds").CheckedPlan
    elif check == "nan":
        bind = importlib.import_module("graphwright.runtime.nonfinite").FinitePlan
    return native.NativeExecutor(plan, bind)


def _listed(inputs: object) -> list[Any]:
    if not isinstance(inputs, Iterable):
        raise GraphError(
            f"the inputs are a tensor or a sequence of tensors, got {inputs!r}",
            source=here(),
            hint="write [] for no inputs",
        )
    return list(inputs)


def _samples(graph: Graph, check: object) -> list[NDArray[Any]]:
    if isinstance(check, str) or not isinstance(check, Sequence):
        raise AttributeValueError(
            f"check is {check!r}",
            source=here(),
            hint='True, False, "bounds", "nan", or a sequence of arrays, one for each input',
        )
    return bind(graph.inputs, check, {})[0]


def _check_dimensions(graph: Graph) -> None:
    """Every named dimension must follow from the inputs' sizes."""
    known = names_of(size for tensor in graph.inputs for size in tensor.shape)
    for node in graph.nodes:
        if not node.op.symbolic and all(tensor.type.static for tensor in node.outputs):
            continue
        shapes = tuple(tensor.shape for tensor in node.outputs)
        unknown = names_of(_sizes((shapes, tuple(node.op.attributes.values())))) - known
        if unknown:
            raise GraphError(
                f"no input tells the size of dimension {', '.join(sorted(unknown))}",
                details=[("tensor", node.outputs[0].describe())],
                source=node.source,
                hint="use a dimension of an input, or a number",
            )


def _sizes(value: object) -> Iterator[Dim]:
    """The symbolic sizes in tuples of any depth."""
    if isinstance(value, Dim):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _sizes(item)


class CompiledFunction(Displayed):
    """A compiled graph: call it with arrays, and ask it what the compiler did.

    Calls take the inputs in order or by name. Arrays are converted when that loses nothing, and
    refused with an InputError that names the input and the axis otherwise; then no parameter has
    changed. Results are fresh arrays that the caller owns.
    """

    def __init__(
        self,
        compilation: Compilation,
        structure: Structure,
        executor: Executor | NativeExecutor,
    ) -> None:
        self.compilation = compilation
        self._structure = structure
        self._executor = executor
        self._graph = compilation.built
        self._arguments = Arguments(self._graph.inputs)
        self._single = isinstance(structure, Tensor)

    def __call__(self, *arrays: object, **named: object) -> Any:
        results = None if named else self._executor.run_fitting(arrays)
        if results is None:
            results = self._executor.run(*self._arguments.bind(arrays, named))
        return results[0] if self._single else unflatten(self._structure, results)

    @property
    def plan(self) -> Plan:
        """The steps and the memory."""
        return self.compilation.plan

    @property
    def stages(self) -> dict[str, Graph]:
        """The graph as built and after each pass that makes one, by the stage's name."""
        return self.compilation.stages

    def text(self, stage: str = "planned", *, sources: bool = False) -> str:
        """A stage in the printed language: `built`, `simplified`, `fused`, `planned` …

        sources: end each line with the scope and the user's line, as a comment
        Raises AttributeValueError for an unknown stage, listing those there are.
        """
        stages = {record.step.result: record.after for record in self.compilation.records}
        known = {"built": self._graph, **stages}
        if stage not in known:
            raise AttributeValueError(
                f"there is no stage {stage!r}", source=here(), hint=f"stages: {', '.join(known)}"
            )
        return stage_text(known[stage], sources=sources, elide=True)

    def summary(self, **sizes: int) -> str:
        """Kernels, FLOPs, bytes and memory; named dimensions are 64 unless given."""
        runs = self._native_report.runs_on(self.plan, self._code) if self._code else None
        return summary(self.compilation, self.sizes(**sizes), runs)

    def explain(self) -> str:
        """What each pass did, and declined, and why; and of native code for each step its kernels,
        whether their machine code was found in the cache, and if not, why; or why it has none."""
        told = explain(self.compilation)
        if self._code is None:
            return told
        return f"{told}\n\n{self._native_report.explain_native(self.plan, self._code)}"

    def profile(self, *arrays: object, **named: object) -> Profile:
        """Where the time of a call with these arrays goes, step by step: a table when printed.

        It runs the function some times, each step by itself, and changes no parameter. Measures
        the machine's limits when first asked, and when the number of threads has changed.
        """
        values, sizes = self._arguments.bind(arrays, named)
        module = importlib.import_module("graphwright.runtime.profile")
        code = self._code
        if code is not None and code.checked:
            generate = importlib.import_module("graphwright.compiler.native.generate").generate
            code = generate(self.plan)
        found: Profile = module.profile(self.plan, code, sizes, values)
        return found

    @property
    def _code(self) -> NativeCode | None:
        return getattr(self._executor, "code", None)

    @property
    def _native_report(self) -> Any:
        return importlib.import_module("graphwright.compiler.native.report")

    def sizes(self, **sizes: int) -> dict[str, int]:
        """A number for each named dimension of the plan: the given one, else 64.

        Raises AttributeValueError for a name that the plan does not have, and for what is no size.
        """
        unknown = sizes.keys() - set(self.plan.names)
        if unknown:
            raise AttributeValueError(
                f"there is no dimension {', '.join(sorted(unknown))}",
                source=here(),
                hint=f"dimensions: {', '.join(self.plan.names) or 'none'}",
            )
        for name, size in sizes.items():
            if not isinstance(size, int | np.integer) or isinstance(size, bool) or size < 0:
                raise AttributeValueError(
                    f"{name} can't be {size!r}", source=here(), hint="a whole number, zero or more"
                )
        return {name: int(sizes.get(name, TYPICAL_SIZE)) for name in self.plan.names}

    def __repr__(self) -> str:
        takes = ", ".join(f"{tensor.name}: {tensor.type}" for tensor in self._graph.inputs)
        return f"<CompiledFunction({takes}): {len(self.plan.steps)} steps>"
