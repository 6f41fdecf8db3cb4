"""Pendulum-v1 in episodes of 50 steps, a quarter of Gymnasium's: as many steps hold four times as
many starts.

    python -m experiments.mbpo --env=experiments.controls.short_pendulum:ShortPendulum-v0

Episodes that end by their time limit end the distractors', too, so critics see four times as many
of those. The study `bottleneck` has it in its size `short_episodes`.
"""

import gymnasium

gymnasium.register(
    "ShortPendulum-v0",
    "gymnasium.envs.classic_control:PendulumEnv",
    max_episode_steps=50,
)
