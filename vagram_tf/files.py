"""What everything that writes files needs."""

import hashlib
import os
from pathlib import Path


def checksum(path: Path) -> str:
    """Returns a file's SHA-256 in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(path: Path, content: bytes) -> Path:
    """Writes a file beside its place and renames it there, so that it is whole or as it was; returns its path."""
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return path
