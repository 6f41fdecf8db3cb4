"""Judges an exported policy: plays episodes of the real environment, and draws one if asked to.

    python -m experiments.evaluate --export=runs/InvertedPendulum-v5/vagram/0
    python -m experiments.evaluate --export=runs/Hopper-v5/vagram/0/export/policy/15000
    --episodes=50 --video=hopper.mp4

Returns are undiscounted sums of the environment's own rewards.
"""

from vagram_tf.commands import evaluate

if __name__ == "__main__":
    evaluate.main()
