"""Object code kept on disk, so that the next process need not compile it again.

One file per object, named by a hash of all that it depends on: the text, the CPU, the versions of
LLVM and llvmlite, and this format. In front of the object lies what proves it whole: whose format,
its length and a hash over its name and its bytes. An entry that was cut off, changed, renamed or
written by something else is taken for missing and written anew.

Entries are written to a file beside and moved into place, so another process sees all of one or
nothing. Nothing here raises for what a disk may do: the result says why there is no entry, and the
program goes on, compiling.

Finding and loading 60 objects takes 12 ms, so one file for all of a plan would gain nothing.

Objects are loaded from a directory only if nobody else may write there. What is used least is
removed when all entries together pass the limit.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from graphwright.compiler.settings import settings

LIMIT = 256_000_000
"""How many bytes all entries together may have."""

_MAGIC = b"graphwright object 1\n"
_DIGEST = hashlib.sha256().digest_size
_HEADER = len(_MAGIC) + 8 + _DIGEST
_ENTRY = re.compile(r"[0-9a-f]{64}\.object")
_PARTIAL = re.compile(r"\.[0-9a-f]{64}\..*\.partial")
_SWEEPING = "004"  # entries with smaller keys, one of 1024, set off a sweep: no need to count
_HOUR = 3600.0


@dataclass(frozen=True)
class DiskCache:
    """A directory of objects.

    directory: where they are; None without one
    trouble:   why it is not used, or "" if it is
    limit:     bytes of all entries above which the least used are removed
    """

    directory: Path | None
    trouble: str
    limit: int = LIMIT

    @classmethod
    def current(cls) -> DiskCache:
        """The directory that GRAPHWRIGHT_CACHE names, else one where this system keeps caches.

        It is made if there is none. GRAPHWRIGHT_CACHE=off, 0 or empty: none is used.
        """
        chosen = settings().cache
        if chosen is not None and chosen in ("", "0", "off"):
            return cls(None, "the cache is off")
        try:
            directory = Path(chosen).expanduser().absolute() if chosen else _customary()
        except RuntimeError:
            return cls(None, "there is no home directory")
        return cls(directory, _trouble(directory))

    def read(self, key: str) -> tuple[bytes | None, str]:
        """The object with this key; None and the reason if there is none."""
        if self.directory is None or self.trouble:
            return None, self.trouble
        path = self.directory / f"{key}.object"
        try:
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                content = file.read()
        except FileNotFoundError:
            return None, "not in the cache"
        except OSError as error:
            return None, f"the entry could not be read ({error.strerror})"
        if _someone_elses(status):
            return None, "the entry belongs to somebody else"
        made = _unwrapped(key, content)
        if made is None:
            return None, "the entry was corrupt"
        _note_use(path, status)
        return made, ""

    def write(self, key: str, made: bytes) -> str:
        """Keep an object; the reason if that could not be done, else ""."""
        if self.directory is None or self.trouble:
            return self.trouble
        partial = None
        try:
            descriptor, partial = tempfile.mkstemp(".partial", f".{key}.", self.directory)
            with os.fdopen(descriptor, "wb") as file:
                file.write(_wrapped(key, made))
            os.replace(partial, self.directory / f"{key}.object")
        except OSError as error:
            if partial is not None:
                _remove(Path(partial))
            return error.strerror or type(error).__name__
        if key < _SWEEPING:
            self._sweep()
        return ""

    def entries(self) -> dict[Path, os.stat_result]:
        """The files of all entries, complete or cut off, and what the system knows of them."""
        return dict(self._files(_ENTRY))

    def clear(self) -> int:
        """Remove all entries and what was left half-written; how many entries there were.

        Files with other names stay. Raises OSError if one can't be removed.
        """
        count = 0
        for path, _ in [*self._files(_ENTRY), *self._files(_PARTIAL)]:
            path.unlink(missing_ok=True)
            count += path.suffix == ".object"
        return count

    def _sweep(self) -> None:
        """Remove what was left half-written long ago, and what is beyond the limit."""
        now = time.time()
        for path, status in self._files(_PARTIAL):
            if now - status.st_mtime > _HOUR:
                _remove(path)
        self._evict()

    def _evict(self) -> None:
        """Remove the entries used longest ago until three quarters of the limit are left."""
        entries = sorted(self._files(_ENTRY), key=lambda entry: entry[1].st_mtime)
        size = sum(status.st_size for _, status in entries)
        if size <= self.limit:
            return
        for path, status in entries:
            if size <= self.limit * 3 // 4:
                return
            _remove(path)
            size -= status.st_size

    def _files(self, pattern: re.Pattern[str]) -> Iterator[tuple[Path, os.stat_result]]:
        """Our regular files whose names match; none if the directory can't be listed."""
        if self.directory is None:
            return
        try:
            found = list(os.scandir(self.directory))
        except OSError:
            return
        for entry in found:
            try:
                if pattern.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    yield Path(entry.path), entry.stat(follow_symlinks=False)
            except OSError:  # gone since: another process swept
                continue


def _customary() -> Path:
    """Where this system keeps caches. Raises RuntimeError if there is no home directory."""
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA", "")
        return Path(local or Path.home() / "AppData" / "Local") / "graphwright" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "graphwright"
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (given if given.is_absolute() else Path.home() / ".cache") / "graphwright"


def _trouble(directory: Path) -> str:
    """Why objects can't be kept in a directory, or must not be loaded from it; "" if they can."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = directory.stat()
    except OSError as error:
        return f"{directory} can't be used ({error.strerror})"
    if _someone_elses(status):
        return f"{directory} belongs to somebody else"
    if os.name == "posix" and status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"others may write to {directory}"
    return ""


def _someone_elses(status: os.stat_result) -> bool:
    return sys.platform != "win32" and status.st_uid != os.geteuid()


def _wrapped(key: str, made: bytes) -> bytes:
    return _MAGIC + len(made).to_bytes(8, "little") + _digest(key, made) + made


def _unwrapped(key: str, content: bytes) -> bytes | None:
    """The object in the content of an entry; None if it is not whole or not of this key."""
    made = content[_HEADER:]
    return made if content == _wrapped(key, made) else None


def _digest(key: str, made: bytes) -> bytes:
    return hashlib.sha256(key.encode() + made).digest()


def _note_use(path: Path, status: os.stat_result) -> None:
    """Let the time of an entry say when it was last used, to the hour: reading stays reading."""
    if time.time() - status.st_mtime > _HOUR:
        with suppress(OSError):  # a disk that can't be written to: nothing is removed there either
            os.utime(path)


def _remove(path: Path) -> None:
    with suppress(OSError):  # it stays, and does no harm
        path.unlink(missing_ok=True)
