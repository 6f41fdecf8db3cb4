"""What everything that writes files needs."""

import hashlib
import re
from pathlib import Path


def checksum(path: Path) -> str:
    """Returns a file's SHA-256 in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def one_line(error: Exception) -> str:
    """Returns an error's text on one line, without TensorFlow's names for its graph nodes."""
    return " ".join(re.sub(r"\{\{.*?\}\}", "", str(error)).split())
