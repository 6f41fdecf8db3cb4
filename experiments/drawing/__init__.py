"""The figures of `plot`, `loss_landscape` and `value_drift`: arrays and rows in, files out."""
