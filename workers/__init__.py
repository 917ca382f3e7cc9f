"""Where tasks run: the worker around the ledger, and the processes that run programs."""
