"""The programs that every deployment has."""
