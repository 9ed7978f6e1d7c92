"""Native programs, on kernels written by hand: stages, steps, tiles, and what a call brings."""

import sys

import numpy as np
import pytest
from support.native import address, counting, kernel, zeros

import graphwright as gw
from graphwright.compiler.native.runner import Program
from graphwright.runtime import native_program
from graphwright.runtime.boundary import readable
from graphwright.runtime.native_program import Base, KernelCall, NativeProgram, Stage


@pytest.fixture(autouse=True)
def as_before():
    before = gw.threads()
    yield
    gw.threads(before)


@pytest.mark.parametrize("count", [1, 2, 4, 8])
@pytest.mark.parametrize("tiles", [0, 1, 2, 7, 64, 1000])
@pytest.mark.parametrize("chunk", [0, 1, 3, 100])
def test_every_tile_is_run_once(count, tiles, chunk):
    gw.threads(count)
    runs = zeros(tiles)
    program = counting(tiles, 5, chunk)
    for times in range(1, 4):
        assert program.run([runs]) == 0
        assert (runs == 5 * times).all()


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("chunk", [0, 1, 5, 1000])
def test_steps_of_a_stage_share_one_count_of_tiles(count, chunk):
    gw.threads(count)
    runs = zeros(7 * 9)
    assert counting(7, 6, chunk, calls=9).run([runs]) == 0
    assert (runs == 6).all()


def test_steps_may_have_no_tiles():
    gw.threads(2)
    runs = zeros(10)
    sizes = [0, 3, 0, 0, 5, 2, 0]
    starts = np.cumsum([0, *sizes])
    calls = [
        KernelCall(kernel("count"), [Base(0), Base(0, 8 * int(start)), 0], size)
        for start, size in zip(starts, sizes, strict=False)
    ]
    for chunk in (0, 1, 2, 50):
        runs[:] = 0
        assert NativeProgram([Stage(calls, chunk)], 1).run([runs]) == 0
        assert (runs == 1).all(), chunk


@pytest.mark.parametrize("count", [1, 2, 8])
def test_a_stage_sees_all_of_the_one_before(count):
    gw.threads(count)
    n, stages = 200, 100
    first, second = np.arange(n), zeros(n)
    there = KernelCall(kernel("reverse"), [Base(0), Base(1), n], n)
    back = KernelCall(kernel("reverse"), [Base(1), Base(0), n], n)
    program = NativeProgram([Stage([there], 10), Stage([back], 7)] * stages, 2, long=True)
    for _ in range(20):
        assert program.run([first, second]) == 0
    assert (first == np.arange(n) + 2 * stages * 20).all()


@pytest.mark.parametrize("count", [2, 4, 8])
def test_scratch_memory_is_a_threads_own(count):
    gw.threads(count)
    source, target = np.arange(100) * 7, zeros(100)
    call = KernelCall(kernel("scratch"), [Base(0), Base(1), 500], 100)
    program = NativeProgram([Stage([call], 1)], 2, scratch=8, long=True)
    for _ in range(50):
        target[:] = 0
        assert program.run([source, target]) == 0
        assert (target == source + 500).all()


def test_no_more_threads_take_part_than_there_is_scratch_memory_for():
    gw.threads(8)
    source, target = np.arange(100) * 7, zeros(100)
    call = KernelCall(kernel("scratch"), [Base(0), Base(1), 500], 100)
    program = NativeProgram([Stage([call], 1)] * 5, 2, scratch=8, long=True)
    program._header[Program.ROOM] = 2
    run = program.part(0, 5)
    for _ in range(50):
        target[:] = 0
        assert run([source, target]) == 0
        assert (target == source + 500).all()
    written = np.flatnonzero(program._scratch)
    assert set(written) <= {0, 8}


def test_arguments_are_numbers_fixed_addresses_and_places_in_arrays():
    source, target = np.arange(10), zeros(6)
    call = KernelCall(kernel("affine"), [address(source) + 16, Base(0, 8), 5], 4)
    assert NativeProgram([Stage([call])], 1, held=[source]).run([target]) == 0
    assert target.tolist() == [0, 11, 14, 17, 20, 0]


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("chunk", [0, 1])
def test_an_error_ends_the_program_after_its_stage(count, chunk):
    gw.threads(count)
    runs, error = zeros(9), zeros(1)
    counts = Stage([KernelCall(kernel("count"), [Base(0), Base(0), 0], 9)], chunk)
    fails = Stage([KernelCall(kernel("fail"), [address(error), Base(0), 77], 9)], chunk)
    program = NativeProgram([counts, counts, fails, counts], 1, error=error)
    for times in (1, 2):
        assert program.run([runs]) == 77
        assert (runs == 2 * times).all()
    assert NativeProgram([counts], 1, error=error).run([runs]) == 0 and error[0] == 0


def test_parts_run_on_the_arrays_of_the_part_before():
    runs = zeros(9)
    program = counting(9, 5, 2)
    first, second, rest = (
        program.part(0, 1),
        program.part(1, 1, again=True),
        program.part(1, 5, again=True),
    )
    assert first([runs]) == 0 and (runs == 1).all()
    assert second([]) == 0 and (runs == 1).all()
    assert rest([]) == 0 and (runs == 5).all()
    other = zeros(9)
    assert first([other]) == rest([]) == 0 and (other == 5).all() and (runs == 5).all()


def test_no_stages_are_a_program_too():
    program = NativeProgram([], 1, [(np.dtype(np.int64), (3,))])
    assert program.run([zeros(3)]) == 0 and program.fits(zeros(3)) == -1


# What a call brings. Both ways: native code reads the objects, or Python does it.


@pytest.fixture(params=["native", "python"])
def way(request, monkeypatch):
    assert readable()
    monkeypatch.setattr(native_program, "readable", lambda: request.param == "native")


def test_what_is_no_list_of_so_many_arrays_is_refused(way):
    class Own(np.ndarray):
        pass

    program = counting(4, 1)
    runs = zeros(4)
    wrong = [[], [runs, runs], (runs,), runs, None, [[0, 0, 0, 0]], [None], [runs.view(Own)], {}]
    for arrays in wrong:
        assert program.run(arrays) == -1
    assert (runs == 0).all()
    assert program.run([runs]) == 0 and (runs == 1).all()


def test_a_call_leaves_reference_counts_alone(way):
    program, array, wrong = counting(4, 1), zeros(4), object()
    arrays, bad = [array], [wrong]
    things = [array, wrong, arrays, bad, program, program._header, None]
    before = [sys.getrefcount(thing) for thing in things]
    for _ in range(1000):
        program.run(arrays)
        program.run(bad)
        program.fits(array)
        program.fits(wrong, array)
    after = [sys.getrefcount(thing) for thing in things]
    assert all(abs(x - y) < 100 for x, y in zip(before, after, strict=True))
    assert (array == 1000).all()


def test_what_fits_is_told_from_what_does_not(way):
    f32, i64 = np.dtype(np.float32), np.dtype(np.int64)
    program = NativeProgram([], 3, [(f32, (2, 3)), (i64, ()), (f32, (0, 5))])
    a, b, c = np.zeros((2, 3), f32), np.array(7), np.zeros((0, 5), f32)
    assert program.fits(a, b, c) == -1
    assert program.fits() == 0
    assert program.fits(a) == 1
    assert program.fits(a, b, c, a) == 3
    raw = np.zeros(25, np.uint8)
    unaligned = raw[1:].view(f32).reshape(2, 3)
    for wrong in (
        a.astype(np.float64),
        a.astype(">f4"),
        a[:1],
        a[:, :2],
        np.zeros((3, 2), f32).T,
        np.zeros((4, 3), f32)[::2],
        np.zeros((2, 3, 1), f32),
        np.zeros(6, f32),
        unaligned,
        np.ma.masked_array(a),
        a.tolist(),
        None,
        3.0,
    ):
        assert program.fits(wrong, b, c) == 0
        assert program.fits(wrong) == 0
    assert program.fits(a, 7, c) == program.fits(a, np.int64(7), c) == 1
    assert program.fits(a, np.array([7]), c) == 1
    assert program.fits(a, b, np.zeros((5, 0), f32)) == 2


def test_python_finds_arrays_addresses_where_native_code_can_not(way):
    gw.threads(2)
    source, target = np.arange(50), zeros(50)
    call = KernelCall(kernel("affine"), [Base(0, 8), Base(1), 1], 49)
    assert NativeProgram([Stage([call], 4)], 2).run([source, target]) == 0
    assert target.tolist() == [3 * i + 1 for i in range(1, 50)] + [0]
