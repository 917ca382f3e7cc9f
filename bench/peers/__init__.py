"""What Fanfold is measured beside; each peer runs in a process of its own, on two threads."""
