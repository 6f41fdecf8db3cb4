"""What an interrupted benchmark has measured, from which the same command goes on."""

import json
from pathlib import Path
from typing import Any

from experiments.speed.timing import BenchmarkRow
from vagram_tf import files
from vagram_tf.errors import Fault


class Unfinished:
    """The sections of a benchmark that are done, in a file beside its output.

    Attributes:
      sections: rows by the name of their section.
      limits: what the stopwatch had measured of the machine's limit.
    """

    def __init__(self, path: Path, machine: dict[str, Any]):
        self._path, self._machine = path, machine
        self.sections: dict[str, list[BenchmarkRow]] = {}
        self.limits: list[float] = []

    @classmethod
    def at(cls, output: Path, machine: dict[str, Any]) -> "Unfinished":
        """Reads what was left beside an output, if it is of this machine; raises Fault if it is
        damaged.
        """
        found = cls(output.with_name(f"{output.name}.unfinished.json"), machine)
        if not found._path.exists():
            return found
        try:
            document = json.loads(found._path.read_text())
            if document["machine"] != machine:
                print(f"{found._path} is of another machine; measuring anew")
                return found
            found.sections = {
                name: [BenchmarkRow(**row) for row in rows]
                for name, rows in document["sections"].items()
            }
            found.limits = document["limits"]
        except (ValueError, KeyError, TypeError) as error:
            raise Fault(f"{found._path} is damaged; without it all is measured anew") from error
        print(f"going on from {found._path}: {', '.join(found.sections)}")
        return found

    def keep(self, name: str, section: list[BenchmarkRow], limits: list[float]) -> None:
        """Writes one more section."""
        self.sections[name], self.limits = section, list(limits)
        document = {
            "machine": self._machine,
            "limits": self.limits,
            "sections": {
                name: [row._asdict() for row in rows] for name, rows in self.sections.items()
            },
        }
        files.write(self._path, json.dumps(document, indent=1) + "\n")

    def remove(self) -> None:
        """The benchmark is finished."""
        self._path.unlink(missing_ok=True)
