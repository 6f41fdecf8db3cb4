"""Means with their bootstrap intervals, and means that a few values cannot pull away."""

from typing import Any

import numpy as np
from scipy import stats

from vagram_tf import seeding

_CONFIDENCE = 0.95


def summary(values: np.ndarray, seed: int) -> dict[str, Any]:
    """Returns mean, 95 % bootstrap interval of the mean, median, smallest and largest of one value
    per episode.

    The interval is the percentile bootstrap's, None for a single episode.
    """
    interval = None
    if len(values) > 1:
        low, high = stats.bootstrap(
            (values,),
            np.mean,
            confidence_level=_CONFIDENCE,
            method="percentile",
            rng=seeding.derive(seed, "bootstrap"),
        ).confidence_interval
        interval = [float(low), float(high)]
    return {
        "mean": float(np.mean(values)),
        "interval": interval,
        "median": float(np.median(values)),
        "min": float(np.min(values)),
        "max": float(np.max(values)),
    }


def interquartile_mean(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """Returns the mean without the smallest and the largest quarter of the values, rounded down."""
    return stats.trim_mean(values, 0.25, axis=axis)
