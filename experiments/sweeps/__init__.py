"""What `experiments.sweep` is made of."""
