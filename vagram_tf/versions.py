"""The versions that a run's numbers depend on."""

from importlib import metadata

from vagram_tf.version import __version__

_PACKAGES = (
    "tensorflow",
    "tf-keras",
    "tensorflow-probability",
    "tf-agents",
    "gymnasium",
    "mujoco",
    "numpy",
)


def versions() -> dict[str, str]:
    """Returns the version of each package, this one first."""
    return {"vagram_tf": __version__} | {name: metadata.version(name) for name in _PACKAGES}


def difference(before: dict[str, str]) -> str | None:
    """Says in words which packages have another version than before, or returns None."""
    other = [
        f"{name} {version} instead of {before[name]}"
        for name, version in versions().items()
        if before.get(name, version) != version
    ]
    if not other:
        return None
    return (
        f"the checkpoint was written with other packages: {', '.join(other)} now; from here on the "
        "run's numbers may be others"
    )
