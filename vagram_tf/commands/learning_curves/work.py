"""The work of `plot`: figures, tables, and what is missing."""

import math

from vagram_tf.commands.learning_curves import comparison, figure, statistics
from vagram_tf.commands.learning_curves.sweep_table import missing
from vagram_tf.commands.plot import Order


def run(order: Order) -> None:
    """Draws a sweep; raises OSError."""
    evaluations, last = order.evaluations, order.look.last
    curve, final = statistics.curves(evaluations), statistics.final(evaluations, last)
    scores = comparison.scores(evaluations, last)
    improvements = comparison.improvements(evaluations, last)
    written = figure.draw(curve, final, scores, improvements, order.look, order.output)
    for line in missing(evaluations, order.plans):
        print(line)
    ended = {point.setting for point in final}
    for setting in dict.fromkeys(point.setting for point in curve if point.setting not in ended):
        print(
            f"note     {setting}: not in the last {100 * last:g} % of its panel's steps, so "
            "without a final return"
        )
    for point in final:
        interval = (
            "no interval" if math.isnan(point.low) else f"{point.low:.1f} to {point.high:.1f}"
        )
        print(f"{point.setting:40}  {point.mean:10.1f}  {interval:>22}  {point.seeds} seeds")
    print("\n".join(f"written  {path}" for path in written))
