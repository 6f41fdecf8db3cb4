"""The tasks of the suite, `vagram` and its controls: MuJoCo's with MBPO's settings, DeepMind
Control's with the defaults.

Voelcker et al. 2022, section 5.3. MBPO is known to fall behind SAC on DeepMind Control (arXiv
2510.01457), so `EVENING` asks whether it does here: two of those tasks beside Walker2d.
"""

from experiments.studies import LOSSES, SAC, SHORT, TO_THE_END
from vagram_tf.study import Settings, Study, product

_MUJOCO: Settings = {
    task: {"name": f"{task}-v5"}
    for task in ("Hopper", "Walker2d", "HalfCheetah", "Ant", "Humanoid", "InvertedPendulum")
}

# No published settings of MBPO. Episodes last 1,000 steps and never terminate.
_DM_CONTROL: Settings = {
    task: {"name": f"dm_control/{task}-v0", "num_steps": steps, "random_steps": 5000}
    for task, steps in (
        ("cartpole-swingup", 20_000),
        ("cheetah-run", 100_000),
        ("hopper-hop", 250_000),
        ("humanoid-walk", 500_000),
    )
}

_ALL: Settings = {**LOSSES, **SAC}

_COMMON = {"video_steps": 0, **TO_THE_END}

FULL = Study(
    common=_COMMON,
    settings=product(_ALL, {**_MUJOCO, **_DM_CONTROL}),
    seeds=range(10),
)

_SMALL = {
    **SHORT,
    "model_hidden_units": (128, 128, 128),
    "agent_hidden_units": (128, 128),
    "imagined_share": (0.0, 20.0, 0.0, 0.95),  # as Hopper's preset has it
}

EVENING = Study(
    common=_COMMON,
    settings=product(
        {name: _ALL[name] for name in ("vagram", "mle_mean", "sac")},
        {
            task: {**{**_MUJOCO, **_DM_CONTROL}[task], **_SMALL}
            for task in ("Walker2d", "cartpole-swingup", "cheetah-run")
        },
    ),
    seeds=range(3),
)
