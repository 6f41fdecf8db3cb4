"""Schedules of MBPO and VaGraM: pure functions of the epoch.

A schedule is four numbers `(from_epoch, to_epoch, from_value, to_value)`: the value moves linearly
between the two epochs and is constant outside them (Janner et al. 2019, appendix C). The epoch is a
real number: training steps since the end of exploration, divided by the epoch's length.
"""

Schedule = tuple[float, float, float, float]


def linear(schedule: Schedule, epoch: float) -> float:
    """Returns the schedule's value at `epoch`; with both epochs equal it jumps there."""
    from_epoch, to_epoch, from_value, to_value = schedule
    if epoch >= to_epoch:
        return float(to_value)
    if epoch <= from_epoch:
        return float(from_value)
    progress = (epoch - from_epoch) / (to_epoch - from_epoch)
    return float(from_value + progress * (to_value - from_value))


def rollout_length(schedule: Schedule, epoch: float) -> int:
    """Returns the number of imagined steps per rollout, at least 1: the schedule's value rounded
    down, as in MBPO.
    """
    return max(1, int(linear(schedule, epoch)))


def real_examples(imagined_share: Schedule, epoch: float, batch_size: int) -> int:
    """Returns how many examples of a SAC batch are real: the rest of the batch is imagined."""
    return batch_size - round(linear(imagined_share, epoch) * batch_size)
