"""The code that runs a native program: tables in, kernels called. LLVM IR, made once.

The module's one symbol, ``kernel(ptr entries)``, stores the addresses of its entries, in the order
of `ENTRIES`. Those that take Python's objects are functions of Python's built-in kind, whose `self`
is a program's header (an int64 array): to call one costs about 20 ns, where through ctypes it would
be 200 to 300.

    ``call_run(header, list of ndarrays)``   put the arrays' addresses where the kernels look for
        them, run the stages, give the error slot (0: all is well, -1: not such a list)
    ``call_fits(header, *ndarrays)``         whether the arrays have the dtypes and sizes that the
        program is bound to: the position of the first that has not, or -1
    ``run_program(header)``                  the part of the first that needs no Python object
    ``work(pool, index)``                    the life of a worker (see `workers`)
    ``dismiss(pool)``                        ask the workers to leave
    ``rest(count)``                          so many pauses, to measure one

Tables are int64. `Pool` and `Program` say what lies where; rows are

    step    kernel's address, its arguments' address, tiles
    stage   first step, last step (excluded), tiles of all its steps together, tiles in a chunk;
            tiles are 0 where the caller is to run the steps alone, each in one call
    patch   address of an argument, index in the bases, bytes to add
    check   the dtype object's address, dimensions, address of the sizes

A kernel is ``void (ptr arguments, i64 first tile, i64 last tile (excluded), ptr scratch)``.

Nothing is linked by name: what the code needs of the system and of Python it finds in the pool's
table, so that the same object code serves every process.
"""

from __future__ import annotations

import re
from enum import IntEnum
from string import Template

from graphwright.compiler.native.workers import PAUSES, WORKERS

CALL_RUN, CALL_FITS, RUN_PROGRAM = "call_run", "call_fits", "run_program"
WORK, DISMISS, REST = "work", "dismiss", "rest"
ENTRIES = (CALL_RUN, CALL_FITS, RUN_PROGRAM, WORK, DISMISS, REST)

STEP, STAGE, PATCH, CHECK = 3, 4, 3, 3  # columns


class Pool(IntEnum):
    """The pool's table, one for the process. What different threads write lies 64 bytes apart."""

    # The system's functions: addresses.
    FUTEX = 0  # the number of the system call; 0 where there is none
    SYSCALL = 1
    YIELD = 2  # int sched_yield(void)
    NAP = 3  # int usleep(unsigned), in units of NAP_UNIT
    # Python's functions and objects: addresses.
    SAVE_THREAD = 4  # PyThreadState *PyEval_SaveThread(void)
    RESTORE_THREAD = 5  # void PyEval_RestoreThread(PyThreadState *)
    FROM_NUMBER = 6  # PyObject *PyLong_FromLongLong(long long)
    CALL = 7  # PyObject *PyObject_CallNoArgs(PyObject *)
    DROP = 8  # void Py_DecRef(PyObject *)
    ARRAY_TYPE = 9
    LIST_TYPE = 10
    START = 11  # a function of no arguments that starts the workers
    # The workers.
    STARTED = 12  # 0: START is to be called first
    WORKERS = 13  # how many, beside the caller
    SHORT_SPIN = 14  # pauses before sleep while no program runs
    LONG_SPIN = 15  # pauses before sleep while one runs
    NAP_UNIT = 16  # microseconds
    # 1 while a program has the pool.
    LOCK = 24
    # The open stage: its number in the upper half, chunks left in the lower.
    TICKET = 32
    # What the stage is.
    PROGRAM = 40
    STAGE = 41
    CHUNKS = 42
    ROOM = 43
    # Chunks that workers have run, and whether the caller sleeps until that changes.
    DONE = 48
    WAITING = 49
    # What changes when sleeping workers are to wake, whether any sleeps, whether they are to leave.
    SIGNAL = 56
    ASLEEP = 57
    STOP = 58


POOL_FIELDS = 64


class Program(IntEnum):
    """A program's header. Where steps of another kind lie between, each segment has its own."""

    POOL = 0  # the pool's address
    STAGES = 1  # address of the first stage row
    STAGE_COUNT = 2
    STEPS = 3  # address of the step rows
    PATCHES = 4  # address of the patch rows
    PATCH_COUNT = 5
    BASES = 6  # address of the places for the addresses of the call's arrays
    ARRAYS = 7  # how many arrays a call brings
    CHECKS = 8  # address of the check rows
    CHECK_COUNT = 9
    SCRATCH = 10  # address of the caller's scratch memory
    STRIDE = 11  # bytes from one worker's scratch memory to the next one's
    ROOM = 12  # how many threads there is scratch memory for
    PARALLEL = 13  # 1: some stage has several chunks
    LONG = 14  # 1: other Python threads may run meanwhile
    ERROR = 15  # address of the error slot; a kernel that fails stores a number other than 0


PROGRAM_FIELDS = 16


def runner_text(architecture: str, head: int) -> str:
    """The module as IR text.

    architecture: the first part of LLVM's target triple, `x86_64`
    head:         bytes before an object's own fields, `object.__basicsize__`: 16 in the usual
                  CPython, 32 in the one without the GIL
    """
    # https://docs.python.org/3/c-api/structures.html and
    # https://numpy.org/doc/stable/reference/c-api/types-and-structures.html
    layout = {
        "type": head - 8,  # PyObject
        "list_size": head,  # PyListObject
        "list_items": head + 8,
        "array_data": head,  # PyArrayObject_fields
        "array_ndim": head + 8,  # an int
        "array_sizes": head + 16,
        "array_dtype": head + 40,
        "array_flags": head + 48,  # an int
    }
    fields = {f"pool_{field.name.lower()}": int(field) for field in Pool}
    fields |= {f"program_{field.name.lower()}": int(field) for field in Program}
    columns = {"step": STEP, "stage": STAGE, "patch": PATCH, "check": CHECK}
    pause, declaration = PAUSES.get(architecture, ("; (no pause here)", "; (no pause here)"))
    text = Template("\n".join((WORKERS, _RUN, _CALL_RUN, _CALL_FITS, _entries()))).substitute(
        fields, **columns, **layout, pause=pause, pause_declaration=declaration
    )
    return _READ.sub(_read, text)


# `%x = field ptr %table, 3` stands for an address and a load from it, `%x = part ptr %object, 24`
# for the same with an offset in bytes.
_READ = re.compile(r"^  %([\w.]+) = (field|part) (\w+) (%[\w.]+), (\S+)$", re.MULTILINE)


def _read(match: re.Match[str]) -> str:
    name, kind, loaded, table, index = match.groups()
    unit = "i64" if kind == "field" else "i8"
    return (
        f"  %{name}.in = getelementptr {unit}, ptr {table}, i64 {index}\n"
        f"  %{name} = load {loaded}, ptr %{name}.in"
    )


def _entries() -> str:
    lines = ["\n; Where the entries are.", "define void @kernel(ptr %entries) {"]
    for number, name in enumerate(ENTRIES):
        lines.append(f"  %{name}.at = getelementptr ptr, ptr %entries, i64 {number}")
        lines.append(f"  store ptr @{name}, ptr %{name}.at")
    return "\n".join([*lines, "  ret void", "}", ""])


_RUN = """
; Run a stage on this thread alone: each step's tiles in one call.
define internal void @run_alone(ptr %program, ptr %stage) {
entry:
  %steps = field ptr %program, $program_steps
  %scratch = field ptr %program, $program_scratch
  %first = field i64 %stage, 0
  %last = field i64 %stage, 1
  br label %look
look:
  %step = phi i64 [%first, %entry], [%step.next, %run]
  %more = icmp slt i64 %step, %last
  br i1 %more, label %run, label %over
run:
  %offset = mul i64 %step, $step
  %row = getelementptr i64, ptr %steps, i64 %offset
  %kernel = field ptr %row, 0
  %arguments = field ptr %row, 1
  %tiles = field i64 %row, 2
  call void %kernel(ptr %arguments, i64 0, i64 %tiles, ptr %scratch)
  %step.next = add i64 %step, 1
  br label %look
over:
  ret void
}

; Store the addresses of this call's arrays in the kernels' arguments.
define internal void @patch(ptr %program) {
entry:
  %patches = field ptr %program, $program_patches
  %count = field i64 %program, $program_patch_count
  %bases = field ptr %program, $program_bases
  br label %look
look:
  %number = phi i64 [0, %entry], [%number.next, %store]
  %more = icmp slt i64 %number, %count
  br i1 %more, label %store, label %over
store:
  %offset = mul i64 %number, $patch
  %row = getelementptr i64, ptr %patches, i64 %offset
  %argument = field ptr %row, 0
  %index = field i64 %row, 1
  %bytes = field i64 %row, 2
  %base = field i64 %bases, %index
  %address = add i64 %base, %bytes
  store i64 %address, ptr %argument
  %number.next = add i64 %number, 1
  br label %look
over:
  ret void
}

; Run the stages, up to the first that leaves something in the error slot, which is the result.
; Who finds the pool taken runs alone.
define internal i64 @run_program(ptr %program) {
entry:
  call void @patch(ptr %program)
  %error.at = field ptr %program, $program_error
  store i64 0, ptr %error.at
  %pool = field ptr %program, $program_pool
  %lock.at = getelementptr i64, ptr %pool, i64 $pool_lock
  %stages = field ptr %program, $program_stages
  %count = field i64 %program, $program_stage_count
  %parallel = field i64 %program, $program_parallel
  %workers = field i64 %pool, $pool_workers
  %serial = icmp eq i64 %parallel, 0
  %nobody = icmp eq i64 %workers, 0
  %alone = or i1 %serial, %nobody
  br i1 %alone, label %look, label %lock
lock:
  %swap = cmpxchg ptr %lock.at, i64 0, i64 1 acquire monotonic
  %locked = extractvalue { i64, i1 } %swap, 1
  br label %look
look:
  %pooled = phi i1 [false, %entry], [%locked, %lock], [%pooled, %next]
  %number = phi i64 [0, %entry], [0, %lock], [%number.next, %next]
  %more = icmp slt i64 %number, %count
  br i1 %more, label %stage, label %over
stage:
  %offset = mul i64 %number, $stage
  %row = getelementptr i64, ptr %stages, i64 %offset
  %tiles = field i64 %row, 2
  %size = field i64 %row, 3
  %several = icmp sgt i64 %tiles, %size
  %shared = and i1 %pooled, %several
  br i1 %shared, label %share, label %run
share:
  %beyond = add i64 %tiles, %size
  %within = sub i64 %beyond, 1
  %chunks = sdiv i64 %within, %size
  call void @share(ptr %pool, ptr %program, ptr %row, i64 %chunks)
  br label %next
run:
  call void @run_alone(ptr %program, ptr %row)
  br label %next
next:
  %number.next = add i64 %number, 1
  %error = load i64, ptr %error.at
  %wrong = icmp ne i64 %error, 0
  br i1 %wrong, label %over, label %look
over:
  br i1 %pooled, label %unlock, label %leave
unlock:
  store atomic i64 0, ptr %lock.at release, align 8
  br label %leave
leave:
  %result = load i64, ptr %error.at
  ret i64 %result
}
"""

_CALL_RUN = """
; PyObject *call_run(PyObject *header, PyObject *list)
define internal ptr @call_run(ptr %header, ptr %list) {
entry:
  %program = part ptr %header, $array_data
  %pool = field ptr %program, $program_pool
  %from_number = field ptr %pool, $pool_from_number
  %type = part ptr %list, $type
  %list.type = field ptr %pool, $pool_list_type
  %listed = icmp eq ptr %type, %list.type
  br i1 %listed, label %count, label %refuse
count:
  %length = part i64 %list, $list_size
  %expected = field i64 %program, $program_arrays
  %complete = icmp eq i64 %length, %expected
  br i1 %complete, label %open, label %refuse
open:
  %items = part ptr %list, $list_items
  %bases = field ptr %program, $program_bases
  %array.type = field ptr %pool, $pool_array_type
  br label %look
look:                                     ; the address of each array's elements
  %number = phi i64 [0, %open], [%number.next, %store]
  %more = icmp slt i64 %number, %expected
  br i1 %more, label %array, label %start
array:
  %item = field ptr %items, %number
  %item.type = part ptr %item, $type
  %right = icmp eq ptr %item.type, %array.type
  br i1 %right, label %store, label %refuse
store:
  %data = part ptr %item, $array_data
  %base = getelementptr ptr, ptr %bases, i64 %number
  store ptr %data, ptr %base
  %number.next = add i64 %number, 1
  br label %look
start:                                    ; no workers yet, or no longer, as after a fork
  %parallel = field i64 %program, $program_parallel
  %started = field i64 %pool, $pool_started
  %serial = icmp eq i64 %parallel, 0
  %ready = icmp ne i64 %started, 0
  %go = or i1 %serial, %ready
  br i1 %go, label %run, label %workers
workers:
  %call = field ptr %pool, $pool_call
  %function = field ptr %pool, $pool_start
  %none = call ptr %call(ptr %function)
  %failed = icmp eq ptr %none, null
  br i1 %failed, label %raise, label %drop
raise:
  ret ptr null
drop:
  %drop.none = field ptr %pool, $pool_drop
  call void %drop.none(ptr %none)
  br label %run
run:
  %long = field i64 %program, $program_long
  %release = icmp ne i64 %long, 0
  br i1 %release, label %released, label %held
released:                                 ; other Python threads run meanwhile
  %save = field ptr %pool, $pool_save_thread
  %thread = call ptr %save()
  %result = call i64 @run_program(ptr %program)
  %restore = field ptr %pool, $pool_restore_thread
  call void %restore(ptr %thread)
  br label %give
held:
  %short.result = call i64 @run_program(ptr %program)
  br label %give
refuse:
  br label %give
give:
  %error = phi i64 [%result, %released], [%short.result, %held], [-1, %refuse]
  %object = call ptr %from_number(i64 %error)
  ret ptr %object
}
"""

_CALL_FITS = """
; PyObject *call_fits(PyObject *header, PyObject *const *arrays, Py_ssize_t count)
define internal ptr @call_fits(ptr %header, ptr %arrays, i64 %count) {
entry:
  %program = part ptr %header, $array_data
  %pool = field ptr %program, $program_pool
  %from_number = field ptr %pool, $pool_from_number
  %array.type = field ptr %pool, $pool_array_type
  %checks = field ptr %program, $program_checks
  %expected = field i64 %program, $program_check_count
  %both = call i64 @llvm.smin.i64(i64 %count, i64 %expected)
  br label %look
look:
  %number = phi i64 [0, %entry], [%number.next, %fits]
  %more = icmp slt i64 %number, %both
  br i1 %more, label %type, label %length
type:                                     ; an ndarray, no subclass
  %array = field ptr %arrays, %number
  %type.found = part ptr %array, $type
  %typed = icmp eq ptr %type.found, %array.type
  br i1 %typed, label %dtype, label %give
dtype:
  %offset = mul i64 %number, $check
  %row = getelementptr i64, ptr %checks, i64 %offset
  %dtype.expected = field ptr %row, 0
  %dtype.found = part ptr %array, $array_dtype
  %same = icmp eq ptr %dtype.found, %dtype.expected
  br i1 %same, label %flags, label %give
flags:                                    ; NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED
  %flags.found = part i32 %array, $array_flags
  %flags.kept = and i32 %flags.found, 257
  %plain = icmp eq i32 %flags.kept, 257
  br i1 %plain, label %ndim, label %give
ndim:
  %ndim.expected = field i64 %row, 1
  %ndim.found = part i32 %array, $array_ndim
  %ndim.wide = sext i32 %ndim.found to i64
  %ranked = icmp eq i64 %ndim.wide, %ndim.expected
  br i1 %ranked, label %sizes, label %give
sizes:
  %sizes.expected = field ptr %row, 2
  %sizes.found = part ptr %array, $array_sizes
  br label %axis
axis:
  %axis.number = phi i64 [0, %sizes], [%axis.next, %size]
  %axes = icmp slt i64 %axis.number, %ndim.expected
  br i1 %axes, label %size, label %fits
size:
  %size.expected = field i64 %sizes.expected, %axis.number
  %size.found = field i64 %sizes.found, %axis.number
  %axis.next = add i64 %axis.number, 1
  %equal = icmp eq i64 %size.found, %size.expected
  br i1 %equal, label %axis, label %give
fits:
  %number.next = add i64 %number, 1
  br label %look
length:                                   ; too few or too many
  %exact = icmp eq i64 %count, %expected
  %verdict = select i1 %exact, i64 -1, i64 %both
  br label %give
give:
  %misfit = phi i64 [%number, %type], [%number, %dtype], [%number, %flags], [%number, %ndim],
                    [%number, %size], [%verdict, %length]
  %object = call ptr %from_number(i64 %misfit)
  ret ptr %object
}
"""
