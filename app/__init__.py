"""The composition root: settings, wiring, processes and the command line. Nobody imports it."""
