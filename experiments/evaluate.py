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

from absl import app
from absl import flags as absl_flags

from vagram_tf.commands import flags

if TYPE_CHECKING:
    import numpy as np

    from vagram_tf.export.load import Export

_CONFIDENCE = 0.95
_MOST_VIDEO_STEPS = 1000
_VIDEO_FORMATS = (".mp4", ".gif")


def define() -> None:
    """Defines the flags."""
    absl_flags.DEFINE_string("export", None, "export of a policy: .../export/policy/<env step>")
    absl_flags.DEFINE_integer("episodes", 10, "episodes to play", lower_bound=1)
    absl_flags.DEFINE_integer("seed", 0, "seed of episodes, of sampled actions and of the bootstrap", lower_bound=0)
    absl_flags.DEFINE_bool("sample", False, "sample actions from the policy instead of taking its greedy ones")
    absl_flags.DEFINE_string("output", None, "JSON file to write the numbers to")
    absl_flags.DEFINE_string("video", None, f"file to draw the first episode to: {' or '.join(_VIDEO_FORMATS)}")


def main(argv: list[str]) -> None:
    del argv
    given = absl_flags.FLAGS
    try:
        flags.check_packages("scipy", "imageio", "imageio_ffmpeg")
        _check_files(given.output, given.video)
        environments = _environments(given.export, given.episodes)
    except (ValueError, OSError) as error:
        flags.fail(str(error), 2)
    from vagram_tf import quiet
    from vagram_tf.config import RunConfig

    quiet.load_tensorflow(RunConfig().threads)
    from vagram_tf import files
    from vagram_tf.envs.adapter import EnvironmentFault
    from vagram_tf.export.load import open_export

    try:
        export = open_export(given.export, "policy")
        report = evaluate(export, environments, given.sample, given.seed)
        print(table(report))
        if given.output:
            files.write(Path(given.output), json.dumps(report, indent=1) + "\n")
            print(f"numbers  {given.output}")
        if given.video:
            film(export, given.sample, given.seed, Path(given.video))
    except (ValueError, OSError, EnvironmentFault) as error:
        flags.fail(str(error), 1)


def evaluate(export: "Export", environments: list[Any], sample: bool, seed: int) -> dict[str, Any]:
    """Plays one episode in each environment, in lockstep, and returns the numbers."""
    from vagram_tf import seeding
    from vagram_tf.envs import episodes
    from vagram_tf.envs.action_range import ActionRange
    from vagram_tf.envs.adapter import GymnasiumEnvironment

    action_range, act = ActionRange(environments[0].action_space), _policy(export, sample, seed)
    returns, lengths = episodes.evaluate(
        [GymnasiumEnvironment(env, seeding.derive(seed, "evaluation", i)) for i, env in enumerate(environments)],
        lambda observation: action_range.to_unit(act(observation)))
    metadata = export.metadata
    return {
        **{name: metadata[name] for name in ("environment", "distractors", "loss", "env_step")},
        "run_seed": metadata["seed"], "seed": seed, "actions": "sampled" if sample else "greedy",
        "return": summary(returns, seed), "length": summary(lengths, seed),
        "returns": returns.tolist(), "lengths": lengths.tolist()}


def summary(values: "np.ndarray", seed: int) -> dict[str, Any]:
    """Returns mean, 95 % bootstrap interval of the mean, median, smallest and largest of one value per episode.

    The interval is the percentile bootstrap's, None for a single episode.
    """
    import numpy as np
    from scipy import stats

    from vagram_tf import seeding

    interval = None
    if len(values) > 1:
        low, high = stats.bootstrap((values,), np.mean, confidence_level=_CONFIDENCE, method="percentile",
                                    rng=seeding.derive(seed, "bootstrap")).confidence_interval
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


def film(export: "Export", sample: bool, seed: int, path: Path) -> None:
    """Draws the first of the episodes to a file, or says in one line why it cannot be drawn."""
    import imageio.v3 as imageio
    import numpy as np

    from vagram_tf import files, seeding
    from vagram_tf.envs import rendering

    act = _policy(export, sample, seed)
    try:
        video = rendering.rollout_frames(
            export.environment, lambda observation: act(observation[np.newaxis].astype(np.float32))[0].numpy(),
            seeding.derive(seeding.derive(seed, "evaluation", 0), "episode", 0), _MOST_VIDEO_STEPS)
    except rendering.RenderingUnavailable as error:
        print(f"no video: {error}", file=sys.stderr)
        return
    with files.replacing(path) as temporary:
        if path.suffix == ".gif":
            imageio.imwrite(temporary, video.frames, duration=1000 / video.frames_per_second, loop=0)
        else:
            imageio.imwrite(temporary, video.frames, fps=video.frames_per_second, macro_block_size=2)
    print(f"video    {path}    {len(video.frames)} pictures, {len(video.frames) / video.frames_per_second:.1f} s")


def _policy(export: "Export", sample: bool, seed: int) -> Any:
    """Returns observations `[B, D]` -> actions `[B, A]`; sampled ones begin with the same random numbers each time."""
    from vagram_tf import seeding

    if not sample:
        return lambda observation: export.module(observation)["action"]
    sampling, calls = seeding.derive(seed, "policy"), itertools.count()
    return lambda observation: export.module.sample(observation, [sampling, next(calls)])["action"]


def _check_files(output: str | None, video: str | None) -> None:
    """Raises ValueError for files that cannot be written."""
    for file in (output, video):
        if file:
            flags.check_output(file)
    if video and Path(video).suffix not in _VIDEO_FORMATS:
        raise ValueError(f"--video must end with {' or '.join(_VIDEO_FORMATS)}, got {video!r}")


def _environments(export: str | None, count: int) -> list[Any]:
    """Returns an environment per episode; raises ValueError for what is no policy's export."""
    if not export:
        raise ValueError("--export is needed: the directory of a policy's export")
    from vagram_tf.envs import suite
    from vagram_tf.export.load import check_export, environment_of

    config = environment_of(check_export(export, "policy"))
    return [suite.make(config) for _ in range(count)]


if __name__ == "__main__":
    define()
    app.run(main, flags_parser=flags.parse)
