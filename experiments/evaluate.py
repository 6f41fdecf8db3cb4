"""Judges an exported policy: plays episodes of the real environment, and draws one if asked to.

    python -m experiments.evaluate --export=runs/InvertedPendulum-v5/vagram/0/export/policy/3000
    python -m experiments.evaluate --export=runs/Hopper-v5/vagram/0/export/policy/15000 --episodes=50 --video=hopper.mp4

Returns are undiscounted sums of the environment's own rewards.
"""

import itertools
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import app, logging
from absl import flags as absl_flags

from experiments import flags

if TYPE_CHECKING:
    import numpy as np

    from vagram_tf.run.exported import Export

_EXPORT = absl_flags.DEFINE_string("export", None, "export of a policy: .../export/policy/<env step>")
_EPISODES = absl_flags.DEFINE_integer("episodes", 10, "episodes to play", lower_bound=1)
_SEED = absl_flags.DEFINE_integer("seed", 0, "seed of the episodes, of sampled actions and of the bootstrap",
                                  lower_bound=0)
_SAMPLE = absl_flags.DEFINE_bool("sample", False, "sample actions from the policy instead of taking its greedy ones")
_OUTPUT = absl_flags.DEFINE_string("output", None, "JSON file to write the numbers to")
_VIDEO = absl_flags.DEFINE_string("video", None, "file to draw the first episode to: .mp4 or .gif")

_CONFIDENCE = 0.95
_MOST_VIDEO_STEPS = 1000
_VIDEO_FORMATS = (".mp4", ".gif")


def main(argv: list[str]) -> None:
    del argv
    logging.set_verbosity(logging.WARNING)
    try:
        flags.check_packages("scipy", "imageio", "imageio_ffmpeg")
        environments = _environments()
    except (ValueError, OSError) as error:
        flags.fail(str(error), 2)
    from vagram_tf import quiet
    from vagram_tf.config import RunConfig

    quiet.load_tensorflow(RunConfig().threads)
    from vagram_tf.envs.adapter import EnvironmentFault
    from vagram_tf.run.exported import open_export

    try:
        export = open_export(_EXPORT.value, "policy")
        report = evaluate(export, environments)
        print(table(report))
        if _OUTPUT.value:
            Path(_OUTPUT.value).write_text(json.dumps(report, indent=1) + "\n")
            print(f"numbers  {_OUTPUT.value}")
        if _VIDEO.value:
            film(export, Path(_VIDEO.value))
    except (ValueError, OSError, EnvironmentFault) as error:
        flags.fail(str(error), 1)


def evaluate(export: "Export", environments: list[Any]) -> dict[str, Any]:
    """Plays one episode in each environment, in lockstep, and returns the numbers."""
    from vagram_tf import seeding
    from vagram_tf.agent import evaluation
    from vagram_tf.envs.adapter import GymnasiumEnvironment
    from vagram_tf.run.export import ActionRange

    action_range, act = ActionRange(environments[0].action_space), _policy(export)
    returns, lengths = evaluation.evaluate(
        [GymnasiumEnvironment(env, _episode_seed(i)) for i, env in enumerate(environments)],
        lambda observation: action_range.to_unit(act(observation)))
    metadata = export.metadata
    return {
        **{name: metadata[name] for name in ("environment", "distractors", "loss", "env_step")},
        "run_seed": metadata["seed"], "seed": _SEED.value, "actions": "sampled" if _SAMPLE.value else "greedy",
        "return": summary(returns, seeding.derive(_SEED.value, "bootstrap")),
        "length": summary(lengths, seeding.derive(_SEED.value, "bootstrap")),
        "returns": returns.tolist(), "lengths": lengths.tolist()}


def summary(values: "np.ndarray", seed: int) -> dict[str, Any]:
    """Returns mean, 95 % bootstrap interval of the mean, median, smallest and largest of one value per episode.

    The interval is the percentile bootstrap's, None for a single episode.
    """
    import numpy as np
    from scipy import stats

    interval = None
    if len(values) > 1:
        low, high = stats.bootstrap((values,), np.mean, confidence_level=_CONFIDENCE, method="percentile",
                                    rng=np.random.default_rng(seed)).confidence_interval
        interval = [float(low), float(high)]
    return {"mean": float(np.mean(values)), "interval": interval, "median": float(np.median(values)),
            "min": float(np.min(values)), "max": float(np.max(values))}


def table(report: dict[str, Any]) -> str:
    """Returns the report for the terminal."""
    lines = [
        f"{report['environment']}, {report['loss']}, run seed {report['run_seed']}, environment step "
        f"{report['env_step']}, {report['distractors']} distractors",
        f"{len(report['returns'])} episodes, {report['actions']} actions, seed {report['seed']}", "",
        f"{'':6}  {'mean':>10}  {'95 % interval':>22}  {'median':>10}  {'min':>10}  {'max':>10}"]
    for name in ("return", "length"):
        of = report[name]
        interval = "one episode has none" if of["interval"] is None else "{:.1f} to {:.1f}".format(*of["interval"])
        lines.append(f"{name:6}  {of['mean']:10.1f}  {interval:>22}  {of['median']:10.1f}  {of['min']:10.1f}  "
                     f"{of['max']:10.1f}")
    return "\n".join([*lines, ""])


def film(export: "Export", path: Path) -> None:
    """Draws the first of the episodes to a file, or says in one line why it cannot be drawn."""
    import imageio.v3 as imageio
    import numpy as np

    from vagram_tf import seeding
    from vagram_tf.envs import rendering

    act = _policy(export)
    try:
        video = rendering.rollout_frames(
            export.environment, lambda observation: act(observation[np.newaxis].astype(np.float32))[0].numpy(),
            seeding.derive(_episode_seed(0), "episode", 0), _MOST_VIDEO_STEPS)
    except rendering.RenderingUnavailable as error:
        print(f"no video: {error}", file=sys.stderr)
        return
    if path.suffix == ".gif":
        imageio.imwrite(path, video.frames, duration=1000 / video.frames_per_second, loop=0)
    else:
        imageio.imwrite(path, video.frames, fps=video.frames_per_second, macro_block_size=2)
    print(f"video    {path}    {len(video.frames)} pictures, {len(video.frames) / video.frames_per_second:.1f} s")


def _policy(export: "Export") -> Any:
    """Returns observations `[B, D]` -> actions `[B, A]`; sampled ones begin with the same random numbers each time."""
    from vagram_tf import seeding

    if not _SAMPLE.value:
        return lambda observation: export.module(observation)["action"]
    seed, calls = seeding.derive(_SEED.value, "policy"), itertools.count()
    return lambda observation: export.module.sample(observation, [seed, next(calls)])["action"]


def _environments() -> list[Any]:
    """Returns an environment per episode; raises ValueError for what the flags or the export forbid."""
    if not _EXPORT.value:
        raise ValueError("--export is needed: the directory of a policy's export")
    for file in (_OUTPUT.value, _VIDEO.value):
        if file and not Path(file).parent.is_dir():
            raise ValueError(f"{file} cannot be written: there is no directory {Path(file).parent}")
    if _VIDEO.value and Path(_VIDEO.value).suffix not in _VIDEO_FORMATS:
        raise ValueError(f"--video must end with {' or '.join(_VIDEO_FORMATS)}, got {_VIDEO.value!r}")
    from vagram_tf.envs import suite
    from vagram_tf.run.exported import check_export, environment_of

    config = environment_of(check_export(_EXPORT.value, "policy"))
    return [suite.make(config) for _ in range(_EPISODES.value)]


def _episode_seed(index: int) -> int:
    from vagram_tf import seeding

    return seeding.derive(_SEED.value, "evaluation", index)


if __name__ == "__main__":
    app.run(main, flags_parser=flags.parse)
