"""The real world: tasks by name, distractors, termination functions, and the adapter to TF-Agents.

Nothing is imported here, so that a name can be refused (`tasks`) before TensorFlow is loaded.
"""

# Shimmy and TF-Agents both import the abandoned `gym`, which looks its notice up in this dictionary
# and prints it. Nothing here uses `gym`, so a user could do nothing about it.
try:
    from gym_notices import notices
except ImportError:
    pass
else:
    notices.notices.clear()
