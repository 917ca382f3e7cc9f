"""Local folders and object stores, by obstore: blobs, sources and outputs."""
