"""The GraphQL face: types, operations, limits, error masking, the committed SDL.

Thin: every operation turns its arguments into plain values, calls one function of ``resolvers``,
and turns what comes back into its GraphQL type.
"""
