"""Following: one reader of states for all who wait for them."""
