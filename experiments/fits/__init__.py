"""What `experiments.fit_study` is made of: models without an agent."""
