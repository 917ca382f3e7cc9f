"""Everything that talks: one file for each technology and port."""
