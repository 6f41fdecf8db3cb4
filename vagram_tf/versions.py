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
