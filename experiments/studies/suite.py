"""The tasks of the suite, `vagram` against `mle`: MuJoCo's with MBPO's settings, DeepMind Control's with the defaults.

Voelcker et al. 2022, section 5.3. `EVENING` has one seed and stops early: it shows that every task runs, and how fast.
"""

from experiments.sweeps.study import Settings, Study, product, vary

_MUJOCO: Settings = {
    task: {"name": f"{task}-v5"} for task in ("Hopper", "Walker2d", "HalfCheetah", "Ant", "Humanoid",
                                              "InvertedPendulum")}

# No published settings of MBPO. Episodes last 1,000 steps and never terminate.
_DM_CONTROL: Settings = {
    task: {"name": f"dm_control/{task}-v0", "num_steps": steps, "random_steps": 5000}
    for task, steps in (("cartpole-swingup", 20_000), ("hopper-hop", 250_000), ("humanoid-walk", 500_000))}

_LOSSES = vary("loss", "vagram", "mle")

FULL = Study(
    common={"video_steps": 0},
    settings=product(_LOSSES, {**_MUJOCO, **_DM_CONTROL}),
    seeds=range(10),
)

EVENING = Study(
    common={"video_steps": 0},
    settings=product(
        _LOSSES, {task: {**of_task, "num_steps": 2000} for task, of_task in {**_MUJOCO, **_DM_CONTROL}.items()}),
    seeds=range(1),
)
