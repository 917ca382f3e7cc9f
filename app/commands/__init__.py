"""The commands of ``fanfold``, one noun a file; what does their work is imported when they run."""
