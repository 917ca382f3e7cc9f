"""How callers reach the schema: GraphQL over HTTP, ``graphql-transport-ws``, SSE and REST.

Owns protocols, their limits and their errors. What an operation means is the schema's; what a
caller may do is decided in ``resolvers``.
"""
