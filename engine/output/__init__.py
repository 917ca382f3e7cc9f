"""Result files: how rows are written, read back as JSON, and handed to where callers want them."""
