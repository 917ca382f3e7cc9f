"""What runs on AWS: the entry points of Lambda functions and of the Spark job, and their wiring."""
