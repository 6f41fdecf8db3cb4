"""Files: whole or as they were, whatever fails; damage told in words; leftovers, locks and CSV."""

import json
import os
import pathlib
import subprocess
import sys
from typing import NamedTuple

import programs
import pytest

from vagram_tf import files


def fill(directory):
    """Writes what a directory is to hold: a file, and another one below it."""
    (directory / "below").mkdir()
    (directory / "data").write_bytes(bytes(5000))
    (directory / "below" / "text").write_text("text")


def make(path, facts=None):
    with files.replacing_directory(path, facts) as temporary:
        fill(temporary)
    return path


def contents(path):
    """Returns the bytes of a file, or of every file below a directory by name."""
    if path.is_file():
        return path.read_bytes()
    return {
        str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()
    }


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the library catches it."""


def fail(patch, nth, error):
    """Lets the nth of the calls that change the disk fail, and after a kill all that would follow
    it.

    Returns a list that holds the number of calls so far.
    """
    calls = [0]

    def failing(original):
        def function(*args, **kwargs):
            calls[0] += 1
            if calls[0] == nth or (calls[0] > nth and isinstance(error, Killed)):
                raise error
            return original(*args, **kwargs)

        return function

    for owner, name in ((pathlib.Path, "write_bytes"), (os, "fsync"), (os, "replace")):
        patch.setattr(owner, name, failing(getattr(owner, name)))
    return calls


WAYS = {
    "file": lambda path, text: files.write(path, text),
    "directory": lambda path, text: make(path, {"text": text}),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), Killed()], ids=["disk", "kill"]
)
def test_whole_or_as_it_was_wherever_it_fails(tmp_path, monkeypatch, way, error):
    place, old, new = (
        tmp_path / "x",
        *(contents(WAYS[way](tmp_path / "x", text)) for text in ("old", "new")),
    )
    seen, nth, failed = [], 0, True
    while failed:
        nth += 1
        WAYS[way](place, "old")
        with monkeypatch.context() as patch:
            calls = fail(patch, nth, error)
            try:
                WAYS[way](place, "new")
            except (OSError, Killed):
                pass
            failed = calls[0] >= nth
        if isinstance(error, Killed):
            files.clear(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] in (["x"], [])
        seen.append(contents(place) if place.exists() else None)
    assert all(state in (old, new, None) for state in seen)
    assert seen[0] == old and seen[-1] == new
    # A kill between two renames leaves a directory nowhere, and nothing else does.
    assert seen.count(None) == (way == "directory" and isinstance(error, Killed))


@pytest.mark.parametrize("way", WAYS)
def test_full_disk(tmp_path, way):
    WAYS[way](tmp_path / "x", "old")
    old = contents(tmp_path / "x")
    with programs.full_disk(1000), pytest.raises(OSError, match="File too large"):
        WAYS[way](tmp_path / "x", "new" * 1000)
    assert contents(tmp_path / "x") == old
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_what_its_writer_raises_leaves_nothing(tmp_path):
    for replacing in (files.replacing, files.replacing_directory):
        with pytest.raises(ZeroDivisionError), replacing(tmp_path / "x"):
            raise ZeroDivisionError
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("way", WAYS)
def test_the_old_one_stays_until_the_new_one_is_on_the_disk(tmp_path, monkeypatch, way):
    WAYS[way](tmp_path / "x", "old")
    old, events = contents(tmp_path / "x"), []
    fsync, replace = os.fsync, os.replace

    def flush(descriptor):
        events.append(pathlib.Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    def rename(source, target):
        if target == tmp_path / "x":
            events.append("renamed")
        elif source != tmp_path / "x":
            assert contents(tmp_path / "x") == old
        replace(source, target)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "replace", rename)
    WAYS[way](tmp_path / "x", "new")
    before, after = events[: events.index("renamed")], events[events.index("renamed") + 1 :]
    temporary = tmp_path / "writing-x"
    written = {
        "file": [temporary],
        "directory": [
            temporary,
            *(temporary / name for name in ("below", "below/text", "data", "manifest.json")),
        ],
    }
    assert set(before) >= set(written[way]) and after == [tmp_path]


def test_replacing_keeps_the_ending_and_takes_another_name(tmp_path):
    with files.replacing(tmp_path / "film.gif") as temporary:  # encoders choose the format by it
        temporary.touch()
        assert temporary == tmp_path / "writing-film.gif"
    with files.replacing(tmp_path / "events.out.tfevents.1", "events") as temporary:
        temporary.touch()
        assert temporary == tmp_path / "writing-events"
    assert {path.name for path in tmp_path.iterdir()} == {"film.gif", "events.out.tfevents.1"}


def test_a_link_stays_one_and_a_device_is_written_as_it_is(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "x")
    assert files.write(tmp_path / "link", "ü") == tmp_path / "link"
    assert (tmp_path / "link").is_symlink() and (tmp_path / "x").read_bytes() == "ü".encode()
    files.write(pathlib.Path("/dev/null"), "text")
    assert pathlib.Path("/dev/null").is_char_device()


def test_manifests(tmp_path):
    """Their formats, which checkpoints with facts and exports without them have."""
    text = "982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1"
    manifest = json.loads((make(tmp_path / "x", {"env_step": 4}) / "manifest.json").read_text())
    assert list(manifest) == ["env_step", "files"] and list(manifest["files"]) == [
        "below/text",
        "data",
    ]
    assert manifest["files"]["below/text"] == {"bytes": 4, "sha256": text}
    data = manifest["files"]["data"]["sha256"]
    assert (make(tmp_path / "y") / "manifest.json").read_text() == (
        f'{{\n  "below/text": "{text}",\n  "data": "{data}"\n}}\n'
    )


def flip(path, position, bit=0):
    data = bytearray(path.read_bytes())
    data[position] ^= 1 << bit
    path.write_bytes(data)


def rewrite(text):
    return lambda path: path.write_bytes(text)


DAMAGES = {
    "truncated": (
        "data",
        lambda path: os.truncate(path, 4999),
        "data has 4999 bytes instead of 5000",
    ),
    "lengthened": (
        "data",
        lambda path: os.truncate(path, 5001),
        "data has 5001 bytes instead of 5000",
    ),
    "emptied": ("data", lambda path: os.truncate(path, 0), "data has 0 bytes instead of 5000"),
    "flipped": ("data", lambda path: flip(path, 1000), "data does not match its checksum"),
    "flipped below": (
        "below/text",
        lambda path: flip(path, 2),
        "below/text does not match its checksum",
    ),
    "missing": ("below/text", pathlib.Path.unlink, "below/text is missing"),
    "manifest truncated": (
        "manifest.json",
        lambda path: os.truncate(path, 30),
        "manifest.json cannot be read (JSON",
    ),
    "manifest emptied": (
        "manifest.json",
        lambda path: os.truncate(path, 0),
        "manifest.json cannot be read (JSON",
    ),
    "manifest missing": (
        "manifest.json",
        pathlib.Path.unlink,
        "manifest.json cannot be read (FileNotFound",
    ),
    "manifest of nothing": ("manifest.json", rewrite(b"{}"), "manifest.json cannot be read"),
    "manifest of another kind": ("manifest.json", rewrite(b"[]"), "manifest.json cannot be read"),
    "manifest without files": (
        "manifest.json",
        rewrite(b'{"env_step": 2}'),
        "manifest.json cannot be read",
    ),
    "manifest with a list": (
        "manifest.json",
        rewrite(b'{"files": ["data"]}'),
        "manifest.json cannot be read",
    ),
    "manifest without sizes": (
        "manifest.json",
        rewrite(b'{"files": {"data": {}}}'),
        "manifest.json cannot be read",
    ),
    "manifest in no encoding": (
        "manifest.json",
        rewrite(b'{"files": "\xff"}'),
        "manifest.json cannot be read",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("facts", [{"env_step": 4}, None], ids=["with facts", "checksums alone"])
def test_damage_is_told(tmp_path, damage, facts):
    path = make(tmp_path / "x", facts)
    assert files.verify(path) is None
    name, inflict, words = DAMAGES[damage]
    inflict(path / name)
    if facts is None and "instead of" in words:
        words = "data does not match its checksum"
    assert files.verify(path).startswith(words)


def test_a_file_that_the_disk_cannot_read_is_damaged(tmp_path, monkeypatch):
    make(tmp_path / "x")

    def fail(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(files, "_checksum", fail)
    assert files.verify(tmp_path / "x") == "below/text cannot be read (OSError)"


def test_any_flipped_bit_of_a_manifest_is_told_or_harmless(tmp_path):
    """Every third byte, one at a time: what is verified then are the same files, or it is not."""
    path = make(tmp_path / "x", {"env_step": 4}) / "manifest.json"
    whole, told = path.read_bytes(), 0
    for position in range(0, len(whole), 3):
        flip(path, position, bit=position % 7)
        told += files.verify(tmp_path / "x") is not None
        path.write_bytes(whole)
    assert told > len(whole) / 6
    assert files.verify(tmp_path / "x") is None


def test_lock_is_one_processs_and_does_not_outlive_it(tmp_path):
    code = (
        "import pathlib, sys; from vagram_tf import files; held = "
        "files.lock(pathlib.Path(sys.argv[1])); "
        "assert 'tensorflow' not in sys.modules; print('held', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "lock")],
        cwd=programs.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(BlockingIOError):
            files.lock(tmp_path / "lock")
        holder.kill()
    with files.lock(tmp_path / "lock"):
        with pytest.raises(BlockingIOError):
            files.lock(tmp_path / "lock")
    files.lock(tmp_path / "lock").close()


def test_csv():
    rows = [
        ("name", "value"),
        ("speed, rad/s", 1 / 3),
        ('a "b"', float("nan")),
        ("c\nd", 12345678),
        ("", 2e-9),
    ]
    assert files.csv_text(rows, digits=3) == (
        'name,value\n"speed, rad/s",0.333\n"a ""b""",nan\n"c\nd",12345678\n,2e-09\n'
    )


class Line(NamedTuple):
    name: str
    count: int
    share: float


def test_a_table_is_read_as_it_was_written(tmp_path):
    rows = [Line("a", 1, 0.25), Line("b", 2, 0.5)]
    path = files.write(tmp_path / "table.csv", files.csv_text([Line._fields, *rows]))
    assert files.read_csv(path, Line, "lines") == rows
    path.write_text("name,count\na,1\n")
    with pytest.raises(ValueError, match="table.csv is no table of lines: 'share'"):
        files.read_csv(path, Line, "lines")
