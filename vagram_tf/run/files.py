"""What everything that writes files needs."""

import hashlib
from pathlib import Path


def checksum(path: Path) -> str:
    """Returns a file's SHA-256 in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
