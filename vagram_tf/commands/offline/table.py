"""The table of `fit`: what a fitted model gets wrong on the episodes that were left out."""

from typing import Any

from vagram_tf.commands.judging.report import closing_lines, dimension_lines, name_width, share

_AGAINST = {"reward": "always the mean"}


def table(found: dict[str, Any]) -> str:
    """Returns the numbers for the terminal."""
    fit, judged = found["fit"], found["behaviours"]["held out"]
    width = name_width(found)
    lines = [
        f"fitted in {fit['seconds']:.1f} s, {fit['fit_steps']} gradient steps; judged on "
        f"{judged['steps']} steps of {judged['episodes']} other episodes",
        "",
        f"{'error':{width}}  after one step",
        *(
            f"{name:{width}}  {share(of, 1.0)} of {_AGAINST.get(name, 'no change')}"
            for name, of in found["shares"].items()
        ),
        "",
        *dimension_lines(found),
        "",
        *closing_lines(found),
    ]
    return "\n".join(lines)
