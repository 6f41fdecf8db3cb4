"""Flags that are paths: `~` is the home directory, and nothing is no path."""

from pathlib import Path

from absl import flags

from vagram_tf import files

flags.disclaim_key_flags()  # they belong to whoever calls


class _PathParser(flags.ArgumentParser):
    syntactic_help = "a path"

    def parse(self, argument: str | Path) -> Path:
        return files.path(argument)

    def flag_type(self) -> str:
        return "path"


def define(name: str, default: str | None, description: str) -> None:
    """Defines a flag that is a `Path`, or None without a default."""
    serializer: flags.ArgumentSerializer = flags.ArgumentSerializer()
    flags.DEFINE(_PathParser(), name, default, description, serializer=serializer)


def define_several(name: str, description: str) -> None:
    """Defines a flag that is given once for each path: a name may hold any separator."""
    serializer: flags.ArgumentSerializer = flags.ArgumentSerializer()
    flags.DEFINE_multi(_PathParser(), serializer, name, [], description)
