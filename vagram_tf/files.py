"""The one way to write files: each is whole or as it was before, after a full disk, a kill and a
power cut, too.

A file or a directory is written beside its place, under a name with a prefix, flushed to the disk
and renamed. A directory gets a `manifest.json`, which tells damage. TensorFlow is not needed here.
"""

import contextlib
import csv
import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

Row = TypeVar("Row", bound=tuple[Any, ...])

_PREFIX = "writing-"
_MANIFEST = "manifest.json"
_BLOCK_BYTES = 2**20  # of a file that is read for its checksum


def path(text: str | os.PathLike[str]) -> Path:
    """Returns the path that somebody has written down: `~` is the home directory.

    Raises:
      ValueError: it is empty.
    """
    if not os.fspath(text):
        raise ValueError("a path must not be empty")
    return Path(os.path.expanduser(text))


def check_tensorflow_reads(path: Path) -> None:
    """Raises ValueError for a path that TensorFlow writes to and does not read: it takes what it
    reads for a pattern.
    """
    if special := pattern_characters(path):
        raise ValueError(
            f"{path} cannot be used: TensorFlow takes {' '.join(special)} in a path for a pattern"
        )


def pattern_characters(path: Path) -> list[str]:
    """Returns what TensorFlow takes for a pattern in a path."""
    return sorted(set(str(path)) & set("*?[\\"))


def write(path: Path, content: str | bytes) -> Path:
    """Writes a file; returns its path."""
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@contextlib.contextmanager
def replacing(path: Path, name: str = "") -> Iterator[Path]:
    """Gives the path of a file to write, which takes its place at the end; after an error nothing
    is left of it.

    A terminal, a pipe or another device is written as it is.

    Args:
      path: the place.
      name: of the file beside it, after the prefix; unset: that of the place.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        yield path
        return
    place = path.resolve()  # a link stays one
    temporary = place.with_name(f"{_PREFIX}{name or place.name}")
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, place)
        _flush(place.parent)
    except Exception:
        temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def replacing_directory(path: Path, facts: dict[str, Any] | None = None) -> Iterator[Path]:
    """Gives an empty directory to fill, which takes its place with a manifest at the end, or leaves
    nothing behind.

    Args:
      path: the place; what is there stays until then.
      facts: what the manifest says before the files' sizes and checksums; without any it is
        checksums by name alone.
    """
    temporary = path.with_name(f"{_PREFIX}{path.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        write(temporary / _MANIFEST, json.dumps(_manifest(temporary, facts), indent=2) + "\n")
        for part in (*temporary.rglob("*"), temporary):
            _flush(part)
        _exchange(temporary, path)
    except Exception:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def verify(directory: Path) -> str | None:
    """Says in words what is damaged in a directory with a manifest, or returns None."""
    name = _MANIFEST
    try:
        for name, (size, digest) in _listed(
            json.loads((directory / _MANIFEST).read_text())
        ).items():
            file = directory / name
            if not file.is_file():
                return f"{name} is missing"
            if size not in (None, file.stat().st_size):
                return f"{name} has {file.stat().st_size} bytes instead of {size}"
            if _checksum(file) != digest:
                return f"{name} does not match its checksum"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"{name} cannot be read ({type(error).__name__})"
    return None


def facts(directory: Path) -> dict[str, Any]:
    """Returns what the manifest of a directory that is whole says beside its files."""
    manifest = json.loads((directory / _MANIFEST).read_text())
    return {name: fact for name, fact in manifest.items() if name != "files"}


def clear(directory: Path) -> None:
    """Deletes what a killed process has left half-written in a directory or anywhere below it."""
    for path in list(directory.rglob(f"{_PREFIX}*")):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def lock(path: Path) -> IO[str]:
    """Returns an open file that no other process can lock until it is closed or this process ends.

    Raises:
      BlockingIOError: it is locked.
    """
    import fcntl  # which Windows lacks: what locks nothing works there

    file = open(path, "a")
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file


def csv_text(rows: Iterable[Iterable[Any]], digits: int = 6) -> str:
    """Returns rows as CSV, their floats with so many significant digits."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        [f"{cell:.{digits}g}" if isinstance(cell, float) else cell for cell in row] for row in rows
    )
    return text.getvalue()


def read_csv(path: Path, kind: type[Row], table: str) -> list[Row]:
    """Returns the rows of a table whose columns are the fields of a `NamedTuple`.

    Args:
      path: of the file.
      kind: of a row; each field is converted by its annotation.
      table: whose table it should be, for the message.

    Raises:
      OSError: it cannot be read.
      ValueError: it holds something else.
    """
    with open(path, newline="") as file:
        try:
            return [
                kind(*(convert(row[name]) for name, convert in kind.__annotations__.items()))
                for row in csv.DictReader(file)
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is no table of {table}: {error}") from None


def _manifest(directory: Path, facts: dict[str, Any] | None) -> dict[str, Any]:
    files = {
        str(path.relative_to(directory)): path
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }
    if facts is None:
        return {name: _checksum(path) for name, path in files.items()}
    return {
        **facts,
        "files": {
            name: {"bytes": path.stat().st_size, "sha256": _checksum(path)}
            for name, path in files.items()
        },
    }


def _listed(manifest: dict[str, Any]) -> dict[str, tuple[int | None, str]]:
    """Returns the size, where it is known, and the checksum of every file of a manifest; raises if
    it is none.
    """
    files = manifest.get("files", manifest)
    listed = {
        name: (None, of) if isinstance(of, str) else (of["bytes"], of["sha256"])
        for name, of in files.items()
    }
    if not listed:
        raise ValueError("it lists no files")
    return listed


def _checksum(path: Path) -> str:
    """Returns a file's SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _exchange(temporary: Path, path: Path) -> None:
    """Puts a directory in its place; one that is there is moved away first, so that no half of it
    is ever seen.
    """
    replaced = temporary.with_name(f"{temporary.name}-replaced")
    shutil.rmtree(replaced, ignore_errors=True)
    if path.exists():
        os.replace(path, replaced)
    try:
        os.replace(temporary, path)
        _flush(path.parent)
    finally:
        if replaced.exists() and not path.exists():
            os.replace(replaced, path)
        shutil.rmtree(replaced, ignore_errors=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
