"""Items that fail, told apart from those that do not: in the last try of a map task.

Only where the job skips bad items and a batch has failed before; nothing of this runs otherwise.
"""
