"""What a claim of a study is read beside, and nobody trains with: losses, and a task."""
