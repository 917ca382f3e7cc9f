"""Pairs of key and value on their way from map to reduce.

A piece is one blob: the partitions of a map task one after another, each an Arrow IPC stream, so
that a reducer reads its own part of every piece with one range request. What arrives is grouped by
its keys; what exceeds memory is sorted into runs, which are merged.
"""
