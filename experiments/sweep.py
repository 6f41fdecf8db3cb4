"""Runs a study: named settings times seeds, each run in a process of its own, one per core.

    python -m experiments.sweep --study=pendulum
    python -m experiments.sweep --study=distractors --size=full --ray_address=auto
    python -m experiments.sweep --study=my_study.py --jobs=4

All evaluations of all runs land in <workdir>/<study>/<size>.csv. Started again, it skips what is
finished and continues what is not. Ctrl-C and SIGTERM save the runs before they stop them.
"""

from vagram_tf.commands import sweep

if __name__ == "__main__":
    sweep.main()
