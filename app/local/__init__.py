"""The whole service on one machine, with a Redis of its own, and its demonstration."""
