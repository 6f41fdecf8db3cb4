"""Draws a sweep: learning curves and final returns of every setting, from the sweep's CSV.

    python -m experiments.plot --csv=results/pendulum/pendulum.csv --output=results/pendulum/curves

Reads the columns study, setting, seed, env_step and return; several files are drawn together.
Settings that differ in nothing but the loss, with which their names begin, share a panel. Writes
<output>.png and .svg with <output>.csv, and <output>_final.png, .svg and .csv; where a loss is in
several panels, the scores over all of them, too, as <output>_all.csv.
"""

from vagram_tf.commands import plot

if __name__ == "__main__":
    plot.main()
