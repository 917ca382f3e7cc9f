"""What callers may do: submit, plan, read, follow, cancel.

Plain async functions over the engine's values and ports. They know neither GraphQL nor HTTP, so
the REST face and the Lambda call the same ones.
"""
