"""Pictures: what can be told of them without eyes."""

import io
import sys

import numpy as np
from PIL import Image

from vagram_tf.run import figures

TENSORBOARD = 350, 215  # pixels of a picture among images, in width, and among curves, in height


def opened(picture):
    image = Image.open(io.BytesIO(picture.data))
    assert image.size == (picture.width, picture.height)
    return image


def brightness(image, across, down):
    """Returns how bright the image is at a point given in shares of its size, 0 to 1."""
    return image.convert("L").getpixel((int(across * image.width), int(down * image.height))) / 255


def test_dimensions_that_do_not_matter_are_dark():
    # Values grow.
    sensitivity = np.tile([50.0, 0.5], (10, 1)) * np.geomspace(1e-3, 1e3, 10)[:, np.newaxis]
    image = opened(
        figures.sensitivity_map(np.arange(10) * 250, sensitivity, ["angle", "distractor[0]"])
    )
    assert image.format == "PNG"
    for across in (0.35, 0.5, 0.75):
        assert brightness(image, across, 0.3) > 0.9 and brightness(image, across, 0.7) < 0.05


def test_sensitivity_of_one_fit_and_of_a_value_that_is_constant():
    assert (
        opened(figures.sensitivity_map(np.array([31]), np.zeros((1, 3)), ["a", "b", "c"])).format
        == "PNG"
    )


def test_many_dimensions_get_a_higher_picture():
    low, high = (
        opened(
            figures.sensitivity_map(
                np.array([1, 2]), np.ones((2, size)), [f"x[{i}]" for i in range(size)]
            )
        )
        for size in (3, 40)
    )
    assert high.height > 2 * low.height and high.width == low.width
    assert (low.width, low.height) == TENSORBOARD


def test_open_loop_shows_members_that_run_away_and_what_is_no_number():
    real = np.sin(np.arange(11)[:, np.newaxis] + np.arange(6))
    predicted = np.stack([real, real * 1e6, np.full_like(real, np.nan)])
    names = [f"x[{i}]" for i in range(6)]
    shown = opened(figures.open_loop(real, predicted, names))
    assert shown.format == "PNG"
    colours = {colour for _, colour in shown.convert("RGB").getcolors(2**16)}
    assert (0, 0, 0) in colours and (255, 127, 14) in colours  # the truth; the members
    alone = opened(figures.open_loop(real[:, :1], predicted[..., :1], names[:1]))
    assert shown.size == alone.size == TENSORBOARD


def test_same_numbers_same_bytes():
    values = np.random.default_rng(0).random((4, 3))
    first, again = (
        figures.sensitivity_map(np.arange(4), values, ["a", "b", "c"]) for _ in range(2)
    )
    assert first == again


def test_animation_plays_every_frame_in_its_time():
    frames = np.zeros([5, 20, 30, 3], np.uint8)
    frames[:, :, :, 0] = 50 * np.arange(5)[:, np.newaxis, np.newaxis]
    image = opened(figures.animation(frames, frames_per_second=25))
    assert image.format == "GIF" and image.n_frames == 5 and image.info["loop"] == 0
    for i in range(5):
        image.seek(i)
        assert image.info["duration"] == 40
        assert abs(image.convert("RGB").getpixel((10, 10))[0] - 50 * i) < 5


def test_figures_leave_matplotlibs_global_state_alone():
    figures.sensitivity_map(np.array([1]), np.ones((1, 1)), ["a"])
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []
