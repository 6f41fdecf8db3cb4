"""What TensorBoard shows beside the loop's own scalars: numbers after a fit, pictures after an
evaluation.
"""

import logging

import numpy as np

from vagram_tf import seeding
from vagram_tf.dyna import Dyna
from vagram_tf.envs import rendering
from vagram_tf.envs.action_range import ActionRange
from vagram_tf.errors import one_line
from vagram_tf.run import diagnosis, figures
from vagram_tf.run.metrics import Metrics

_OPEN_LOOP_STEPS = 20
_PANELS = 4  # dimensions of the open loop that are drawn: those that the value depends on most


def show_fit(dyna: Dyna, metrics: Metrics) -> None:
    """Writes what critics and model make of real data; see `diagnosis`."""
    found = diagnosis.diagnose(dyna)
    metrics.scalars(dyna.env_step, found.scalars)
    metrics.histograms(dyna.env_step, found.histograms)
    metrics.sensitivity(dyna.env_step, dyna.dimension_names, found.sensitivity)


def show_pictures(dyna: Dyna, metrics: Metrics) -> None:
    """Draws what the value depends on and what the model predicts and, once the run is complete,
    the policy.
    """
    pictures = _of_the_model(dyna, metrics) if dyna.has_model else {}
    # In other environments, one of which another process makes.
    can_film = dyna.environment_is_named and dyna.config.env.instances == "many"
    filmed = dyna.done and dyna.config.run.video_steps and can_film
    video = _video(dyna) if filmed else None
    # In a group of its own, the last one, where it is not between curves.
    metrics.images(dyna.env_step, pictures if video is None else pictures | {"video/policy": video})


def _of_the_model(dyna: Dyna, metrics: Metrics) -> dict[str, figures.Picture]:
    names, (env_steps, sensitivity) = dyna.dimension_names, metrics.sensitivities()
    if not len(env_steps):  # its table was damaged, and moved away
        return {}
    shown = np.argsort(-sensitivity[-1], kind="stable")[:_PANELS]
    real, predicted = diagnosis.open_loop(dyna, _OPEN_LOOP_STEPS)
    return {
        "value_gradient/sensitivity": figures.sensitivity_map(env_steps, sensitivity, names),
        "model/open_loop": figures.open_loop(
            real[:, shown], predicted[..., shown], [names[i] for i in shown]
        ),
    }


def _video(dyna: Dyna) -> figures.Picture | None:
    """Draws the first of the episodes that have just been evaluated; where that fails, one line
    says why.
    """
    seed = seeding.first_evaluation(dyna.config.run.seed, dyna.env_step)
    action_range = ActionRange(dyna.action_space)

    def policy(observation: np.ndarray) -> np.ndarray:
        action = dyna.agent.act_greedily(observation[np.newaxis].astype(np.float32))
        return action_range.from_unit(action)[0].numpy()

    try:
        video = rendering.rollout_frames(dyna.config.env, policy, seed, dyna.config.run.video_steps)
    except Exception as error:
        # Of any environment and any library it draws with: a video must not cost the run.
        logging.warning("no video of the policy: %s", one_line(error))
        return None
    return figures.animation(video.frames, video.frames_per_second)
