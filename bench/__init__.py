"""Measurements: each script runs a peer and Fanfold on the same work in one run, prints ratios."""
