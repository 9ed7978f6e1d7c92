"""Native code on disk: found again, never trusted when it may be wrong, and never in the way."""

import ctypes
import errno
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.machines import runnable

from graphwright import cli
from graphwright.compiler.native import disk_cache, objects
from graphwright.compiler.native.disk_cache import DiskCache
from graphwright.compiler.native.objects import compiled
from graphwright.compiler.native.target import Target

KEY = "5" * 64


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """An empty directory for objects, in use."""
    path = tmp_path / "objects"
    monkeypatch.setenv("GRAPHWRIGHT_CACHE", str(path))
    return path


def module(number):
    """A module whose function returns `number`."""
    return f"define i64 @kernel() {{\n  ret i64 {number}\n}}"


def found(number, target=None):
    """Where the code that returns `number` came from. It has left memory afterwards."""
    [record] = compiled([module(number)], target)
    assert ctypes.CFUNCTYPE(ctypes.c_int64)(record.address)() == number
    return record.found


def process(script, **environment):
    """Run a script in a process of its own that can say `found(number)`, to its end."""
    tests = Path(__file__).parent
    setting = f"import sys; sys.path.insert(0, {str(tests)!r})\nfrom test_disk_cache import *\n"
    return subprocess.Popen(
        [sys.executable, "-c", setting + script],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def said(started):
    """What a process printed, once it has ended well."""
    output, trouble = started.communicate(timeout=60)
    assert started.returncode == 0 and trouble == "", trouble
    return output.strip()


def files(directory):
    return sorted(path.name for path in directory.iterdir())


def test_what_one_process_compiled_another_finds(directory):
    assert found(1) == "compiled: not in the cache"
    assert found(1) == "disk"
    assert said(process("print(found(1), found(2))")) == "disk compiled: not in the cache"
    assert found(2) == "disk"
    assert all(re.fullmatch("[0-9a-f]{64}.object", name) for name in files(directory))
    assert directory.stat().st_mode & 0o777 == 0o700 or os.name != "posix"


def test_code_for_another_cpu_or_version_is_another_entry(directory, monkeypatch):
    targets = runnable()
    for target in targets:
        assert found(3, target) == "compiled: not in the cache"
    assert [found(3, target) for target in targets] == ["disk"] * len(targets)
    for target in targets[1:]:
        assert said(process("print(found(3))", GRAPHWRIGHT_CPU=target.cpu)) == "disk"
    assert len(files(directory)) == len(targets)
    monkeypatch.setattr("llvmlite.__version__", "0.0.0")
    assert found(3) == "compiled: not in the cache"
    monkeypatch.setattr(objects, "_PASSES", objects._PASSES[1:])
    assert found(3) == "compiled: not in the cache"


def damage(path):
    """Ways to spoil an entry: a name and what it holds then."""
    whole = path.read_bytes()
    yield "empty", b""
    yield "text", b"not an object at all\n" * 100
    yield "longer", whole + b"\0"
    yield "twice", whole * 2
    for length in (1, 10, 21, 25, 40, 61, 62, len(whole) // 2, len(whole) - 1):
        yield f"cut to {length}", whole[:length]
    for place in [*range(0, 80, 3), *range(80, len(whole), 97), len(whole) - 1]:
        changed = bytearray(whole)
        changed[place] ^= 1
        yield f"byte {place}", bytes(changed)


def test_damaged_entries_are_compiled_again_and_rewritten(directory):
    found(4)
    [path] = directory.iterdir()
    whole = path.read_bytes()
    cache = DiskCache.current()
    for name, content in damage(path):
        path.write_bytes(content)
        assert cache.read(path.stem) == (None, "the entry was corrupt"), name
    assert found(4) == "compiled: the entry was corrupt"
    assert path.read_bytes() == whole and found(4) == "disk"


def test_an_entry_under_another_name_is_not_taken(directory):
    found(5)
    [five] = directory.iterdir()
    found(6)
    [six] = set(directory.iterdir()) - {five}
    six.write_bytes(five.read_bytes())
    assert found(6) == "compiled: the entry was corrupt"


def test_an_entry_that_cannot_be_read_is_compiled(directory):
    found(7)
    [path] = directory.iterdir()
    path.unlink()
    path.mkdir()
    reason = found(7)
    assert "the entry could not be read" in reason and "could not be kept" in reason


@pytest.mark.parametrize("value", ["", "0", "off"])
def test_it_can_be_turned_off(value, directory, monkeypatch):
    monkeypatch.setenv("GRAPHWRIGHT_CACHE", value)
    assert found(8) == "compiled: the cache is off"
    assert not directory.exists() and DiskCache.current().clear() == 0


def test_a_directory_that_cannot_be_made_is_done_without(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("in the way")
    monkeypatch.setenv("GRAPHWRIGHT_CACHE", str(file / "objects"))
    assert found(9) == f"compiled: {file / 'objects'} can't be used (Not a directory)"
    monkeypatch.setenv("GRAPHWRIGHT_CACHE", str(file))
    assert found(9) == f"compiled: {file} can't be used (File exists)"


def test_without_a_home_nothing_is_kept(monkeypatch):
    monkeypatch.delenv("GRAPHWRIGHT_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    assert found(10) == "compiled: there is no home directory"


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "/caches"}, "/caches/graphwright"),
        ("linux", {"XDG_CACHE_HOME": "not/absolute"}, "/ada/.cache/graphwright"),
        ("linux", {}, "/ada/.cache/graphwright"),
        ("darwin", {}, "/ada/Library/Caches/graphwright"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/graphwright/cache"),
        ("win32", {}, "/ada/AppData/Local/graphwright/cache"),
    ],
)
def test_each_system_has_its_place(platform, environment, expected, monkeypatch):
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: Path("/ada"))
    assert disk_cache._customary() == Path(expected)


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_nothing_is_loaded_from_where_others_may_write(directory, mode):
    found(11)
    directory.chmod(mode)
    assert found(11) == f"compiled: others may write to {directory}"
    assert found(12) == f"compiled: others may write to {directory}"
    directory.chmod(0o755)
    assert found(11) == "disk" and found(12) == "compiled: not in the cache"


def test_nothing_is_loaded_from_what_others_own(directory, monkeypatch):
    found(13)
    someone = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: someone)
    assert found(13) == f"compiled: {directory} belongs to somebody else"
    monkeypatch.setattr(disk_cache, "_trouble", lambda directory: "")
    assert found(13) == "compiled: the entry belongs to somebody else"


def test_a_read_only_directory_is_read(directory, monkeypatch):
    found(14)

    def refuse(*arguments, **options):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    monkeypatch.setattr("os.utime", refuse)
    [path] = directory.iterdir()
    monkeypatch.setattr(time, "time", lambda: path.stat().st_mtime + 7200)
    assert found(14) == "disk"
    expected = "compiled: not in the cache, and could not be kept (Read-only file system)"
    assert found(15) == found(15) == expected


def test_a_full_disk_leaves_nothing_behind(directory):
    script = (
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500, resource.RLIM_INFINITY))\n"
        "print(found(16))"
    )
    expected = "compiled: not in the cache, and could not be kept (File too large)"
    assert said(process(script)) == expected
    assert files(directory) == []


def test_a_process_killed_while_it_writes_leaves_no_entry(directory):
    script = "os.replace = lambda *names: os.kill(os.getpid(), signal.SIGKILL)\nprint(found(17))\n"
    killed = process(script)
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    [partial] = directory.iterdir()
    assert partial.suffix == ".partial" and DiskCache.current().entries() == {}
    assert found(17) == "compiled: not in the cache" and found(17) == "disk"

    cache = DiskCache.current()
    first = "0" * 64  # of those that set off a sweep
    cache.write(first, b"one")
    assert partial.exists()  # perhaps someone is writing it
    os.utime(partial, (0, time.time() - 7200))
    cache.write(first, b"two")
    assert not partial.exists() and cache.read(first) == (b"two", "") and found(17) == "disk"


def test_processes_may_write_at_once(directory):
    script = "print(*{found(number) for number in range(100, 130)}, sep=';')"
    started = [process(script) for _ in range(3)]
    reasons = {reason for each in started for reason in said(each).split(";")}
    assert reasons <= {"compiled: not in the cache", "disk"}
    assert len(files(directory)) == len(DiskCache.current().entries()) == 30
    assert {found(number) for number in range(100, 130)} == {"disk"}


def test_what_was_used_longest_ago_is_removed_beyond_the_limit(directory):
    directory.mkdir(mode=0o700)
    cache = DiskCache(directory, "", limit=10_000)
    keys = [f"{number:x}" * 64 for number in range(1, 10)]
    hours_ago = time.time() - 100 * 3600
    for age, key in enumerate(keys):
        assert cache.write(key, bytes(1000)) == ""
        os.utime(directory / f"{key}.object", (0, hours_ago + age))
    assert cache.read(keys[0]) == (bytes(1000), "")  # now the last one used
    assert len(cache.entries()) == 9  # below the limit
    (directory / "notes.txt").write_bytes(bytes(50_000))  # not ours: neither counted nor removed
    cache.write("0" * 64, bytes(1500))
    left = {path.stem for path in cache.entries()}
    assert left == {"0" * 64, keys[0], *keys[-4:]}
    assert sum(status.st_size for status in cache.entries().values()) <= 7_500
    assert (directory / "notes.txt").exists()


def test_sweeps_are_set_off_now_and_then(directory):
    directory.mkdir(mode=0o700)
    cache = DiskCache(directory, "", limit=0)
    cache.write(KEY, b"object")
    assert len(cache.entries()) == 1  # most entries set off none
    cache.write("003" + KEY[3:], b"object")
    assert cache.entries() == {}


def test_the_command_shows_the_cache(directory, capsys):
    found(18)
    assert cli.main(["cache"]) == 0
    shown = dict(re.findall(r"^(\w+(?: \w+)?)  +(.*)$", capsys.readouterr().out, re.MULTILINE))
    assert shown["directory"] == str(directory) and shown["entries"] == "1"
    assert shown["size"].endswith("MB of at most 256 MB")
    assert shown["code for"] == Target.host().describe()
    directory.chmod(0o777)
    cli.main(["cache", "show"])
    assert f"not used   others may write to {directory}" in capsys.readouterr().out


def test_the_command_clears_what_is_ours(directory, capsys):
    found(19)
    found(20)
    (directory / "notes.txt").write_text("mine")
    (directory / f".{KEY}.abc.partial").write_text("half")
    (directory / f"{KEY}.object").mkdir()
    assert cli.main(["cache", "clear"]) == 0
    assert capsys.readouterr().out == f"2 entries removed from {directory}\n"
    assert files(directory) == [f"{KEY}.object", "notes.txt"]
    found(19)
    cli.main(["cache", "clear"])
    assert capsys.readouterr().out.startswith("1 entry removed")


def test_the_command_says_that_the_cache_is_off(monkeypatch, capsys):
    monkeypatch.setenv("GRAPHWRIGHT_CACHE", "off")
    assert cli.main(["cache"]) == 0
    assert "not used   the cache is off" in capsys.readouterr().out
    assert cli.main(["cache", "clear"]) == 0
    assert capsys.readouterr().out == "nothing to remove: the cache is off\n"


def test_the_command_refuses_a_cpu_that_is_none(monkeypatch, capsys):
    monkeypatch.setenv("GRAPHWRIGHT_CPU", "x86-64-v9")
    assert cli.main(["cache"]) == 1
    assert "GRAPHWRIGHT_CPU=x86-64-v9: no such CPU" in capsys.readouterr().err
