"""What a judgement of a model says, in lines of text and as JSON: `measures.summarise`, with the
names of the `dimensions`.
"""

import json
import math
from pathlib import Path
from typing import Any

from vagram_tf import files


def dimension_lines(report: dict[str, Any]) -> list[str]:
    """Returns the table of the dimensions and, at its end, of all of them."""
    loop, gradient = report["open_loop"], report.get("value_gradient")
    calibration, far = report["calibration"], last_step(report)
    width = name_width(report)
    lines = [
        f"{'':{width}}  error after      as a share of   within the interval of"
        + ("     value gradient" if gradient else ""),
        f"{'dimension':{width}}  1 step {f'{far + 1} steps':>9}   no change        50 %   80 %   "
        + ("95 %    dV/ds'   share" if gradient else "95 %"),
    ]
    for d, name in enumerate(report["dimensions"]):
        covered = "".join(f"{100 * level[d]:6.1f} " for level in calibration["coverage"])
        line = (
            f"{name:{width}}  {loop['error'][0][d]:<7.2g} {loop['error'][far][d]:>8.2g}  "
            f"{share(loop['error'][0][d], loop['no_change'][0][d])} "
            f"{share(loop['error'][far][d], loop['no_change'][far][d])}   {covered}"
        )
        if gradient:
            line += f"  {gradient['root_mean_square'][d]:8.3g}  {100 * gradient['share'][d]:5.1f} %"
        lines.append(line)
    covered = "".join(f"{100 * level:6.1f} " for level in calibration["all"])
    return [
        *lines,
        f"{'all':{width}}  {loop['all'][0]:<7.2g} {loop['all'][far]:>8.2g}  "
        f"{share(loop['all'][0], loop['all_no_change'][0])} "
        f"{share(loop['all'][far], loop['all_no_change'][far])}   {covered}",
    ]


def closing_lines(report: dict[str, Any]) -> list[str]:
    """Returns what is said of value, where there is one, reward and termination."""
    value, ended, reward = report.get("value"), report["termination"], report["reward"]
    far = last_step(report)
    lines = [
        f"reward       error {reward['error']:.4g}; of always the mean "
        f"{reward['always_the_mean']:.4g}",
        f"termination  {ended['true_positives']} foreseen, {ended['false_negatives']} missed, "
        f"{ended['false_positives']} false alarms in {sum(ended.values())} steps",
    ]
    if value:
        lines.insert(
            0,
            f"value        error {value['error'][0]:.4g} after 1 step, {value['error'][far]:.4g} "
            f"after {far + 1}; of no change {value['no_change'][0]:.4g} and "
            f"{value['no_change'][far]:.4g}; rank correlation with the state error "
            f"{value['rank_correlation']:.2f}",
        )
    return lines


def last_step(report: dict[str, Any]) -> int:
    """Returns the last number of steps, from 0, that an episode lasted for."""
    return max(k for k, count in enumerate(report["open_loop"]["count"]) if count)


def name_width(report: dict[str, Any]) -> int:
    """Returns the width of the column of names."""
    return max(10, *(len(name) for name in report["dimensions"]))


def share(error: float, of: float) -> str:
    """Returns an error in percent of another, eight characters wide."""
    return f"{100 * error / of:6.1f} %" if of > 0 and math.isfinite(error) else f"{'–':>8}"


def write_report(path: Path, report: dict[str, Any]) -> None:
    """Writes a report as JSON, with null for numbers that are not finite, which JSON has no way to
    write.
    """
    files.write(path, json.dumps(_finite(report), indent=1, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
