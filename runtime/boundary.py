"""Between Python and native code: where each finds the other.

Native code is given the addresses of functions of the system and of Python in the pool's table,
and reads a few fields of lists and arrays itself; whether they lie where it looks is tried first.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from graphwright.compiler.native.runner import CALL_FITS, CALL_RUN, Pool

Table: TypeAlias = NDArray[np.int64]

HEAD = object.__basicsize__  # bytes before an object's own fields
_LINE = 64  # bytes that processors exchange at once
_FUTEX = {"x86_64": 202, "aarch64": 98}  # Linux's numbers of the system call
_FLAGS = {CALL_RUN: 0x0008, CALL_FITS: 0x0080}  # METH_O, METH_FASTCALL


def aligned_table(*shape: int) -> Table:
    """Zeros that start on a cache line of their own."""
    count = int(np.prod(shape))
    room = np.zeros(count + _LINE // 8, np.int64)
    start = -room.ctypes.data % _LINE // 8
    return room[start : start + count].reshape(shape)


def set_addresses(table: Table) -> None:
    """Write what native code needs of the system and of Python into the pool's table."""
    if os.name == "nt":
        system = ctypes.CDLL("kernel32")
        table[Pool.YIELD] = _address(system.SwitchToThread)
        table[Pool.NAP] = _address(system.Sleep)
        table[Pool.NAP_UNIT] = 1000
    else:
        system = ctypes.CDLL(None)
        table[Pool.YIELD] = _address(system.sched_yield)
        table[Pool.NAP] = _address(system.usleep)
        table[Pool.NAP_UNIT] = 1
    if sys.platform == "linux":
        table[Pool.FUTEX] = _FUTEX.get(platform.machine(), 0)
        table[Pool.SYSCALL] = _address(system.syscall)
    table[Pool.SAVE_THREAD] = _address(ctypes.pythonapi.PyEval_SaveThread)
    table[Pool.RESTORE_THREAD] = _address(ctypes.pythonapi.PyEval_RestoreThread)
    table[Pool.FROM_NUMBER] = _address(ctypes.pythonapi.PyLong_FromLongLong)
    table[Pool.CALL] = _address(ctypes.pythonapi.PyObject_CallNoArgs)
    table[Pool.DROP] = _address(ctypes.pythonapi.Py_DecRef)
    table[Pool.ARRAY_TYPE] = id(np.ndarray)
    table[Pool.LIST_TYPE] = id(list)


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


class _Method(ctypes.Structure):
    """PyMethodDef."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


_METHODS: dict[tuple[str, int], _Method] = {}  # Python keeps addresses of them: never freed


def builtin(name: str, address: int, header: Table) -> Callable[..., Any]:
    """The entry `call_run` or `call_fits` as a function of Python's built-in kind.

    header: what native code gets as the function's `self`: a program's header
    """
    method = _METHODS.get((name, address))
    if method is None:
        method = _Method(name.encode(), address, _FLAGS[name], None)
        _METHODS[name, address] = method
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype = ctypes.py_object
    make.argtypes = [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]
    function: Callable[..., Any] = make(ctypes.addressof(method), header, None)
    return function


@cache
def readable() -> bool:
    """Whether lists and arrays look as native code expects, tried on some of them."""
    if sys.implementation.name != "cpython" or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    for shape, dtype in (((2, 3, 4), np.dtype(np.float32)), ((5,), np.dtype(np.int8))):
        array = np.zeros(shape, dtype)
        sizes = _word(array, HEAD + 16)
        looks_right = (
            _word(array, HEAD - 8) == id(np.ndarray)
            and _word(array, HEAD) == array.ctypes.data
            and _word(array, HEAD + 8, ctypes.c_int) == len(shape)
            and tuple((ctypes.c_int64 * len(shape)).from_address(sizes)) == shape
            and _word(array, HEAD + 40) == id(dtype)
            and _word(array, HEAD + 48, ctypes.c_int) & 0x107 == 0x105 + 2 * (len(shape) == 1)
        )
        if not looks_right:
            return False
    things = [array, dtype, shape]
    items = _word(things, HEAD + 8)
    return (
        _word(things, HEAD - 8) == id(list)
        and _word(things, HEAD) == 3
        and [*(ctypes.c_int64 * 3).from_address(items)] == [id(thing) for thing in things]
    )


def _word(thing: object, offset: int, kind: Any = ctypes.c_int64) -> int:
    return int(kind.from_address(id(thing) + offset).value)
