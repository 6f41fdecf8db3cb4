"""Losses of studies that are no way to train a model: what a claim is read beside."""
