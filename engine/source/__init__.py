"""Where a job's items come from: files below the source roots, cut into batches and read."""
