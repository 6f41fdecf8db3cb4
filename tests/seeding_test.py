"""Derived seeds: fixed for ever, in range, and apart from one another."""

import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vagram_tf.seeding import derive

paths = st.lists(st.text("abcdefg_", min_size=1) | st.integers(0, 10**6), max_size=3)


def test_known_values():
    # SHA-256 of "0/networks" and "3/episode/12" by `printf %s 0/networks | sha256sum`: a run's
    # meaning must not change.
    assert derive(0, "networks") == 0x15996748 >> 1
    assert derive(3, "episode", 12) == 0x552CD97E >> 1


def test_the_same_in_another_process():
    # Python's own `hash` of a string is not.
    code = "from vagram_tf.seeding import derive; print(derive(7, 'replay', 'real'))"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert int(printed) == derive(7, "replay", "real")


@given(st.integers(0, 2**63), paths)
def test_range(seed, path):
    assert 0 <= derive(seed, *path) < 2**31
    assert derive(seed, *path) == derive(seed, *path)
    np.random.default_rng(derive(seed, *path))


def test_seeds_names_and_indices_all_matter():
    seeds = {
        derive(seed, name, index)
        for seed in range(10)
        for name in ("episode", "policy", "replay")
        for index in range(100)
    }
    assert len(seeds) >= 2998  # of 3,000; 31 bits make a collision unlikely
    assert (
        len(
            {
                derive(1, 23),
                derive(12, 3),
                derive(123),
                derive(1, 2, 3),
                derive(1, "23", ""),
                derive(1),
            }
        )
        == 6
    )


def test_neighbouring_seeds_are_unrelated():
    values = np.array([derive(seed, "model") for seed in range(2000)], np.float64) / 2**31
    assert abs(values.mean() - 0.5) < 0.03  # standard error 0.0065
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 0.1  # standard error 0.022
