"""DynamoDB: one table with all that Redis keeps elsewhere, for runs that others dispatch."""
