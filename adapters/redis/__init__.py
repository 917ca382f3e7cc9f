"""Redis: the ledger, whose steps are the scripts in ``lua/``, and all else that is kept there."""
