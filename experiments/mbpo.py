"""Trains an agent with a learned model: MBPO with VaGraM or another model loss.

    python -m experiments.mbpo --loss=vagram
    python -m experiments.mbpo --env=Hopper-v5 --distractors=5 --num_steps=10000
    python -m experiments.mbpo --config=runs/InvertedPendulum-v5/vagram/0/config.json --seed=1

A run lives in <workdir>/<env>/<loss>/<seed>/. Started again with the same settings, it continues
from its last checkpoint. Ctrl-C and SIGTERM save before they stop it.
"""

from vagram_tf.commands import train

if __name__ == "__main__":
    train.main()
