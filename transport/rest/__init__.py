"""The REST face: jobs as resources, for programs that speak no GraphQL.

The same resolvers, inputs, checks and names as the schema; only the dress differs. Errors are
``application/problem+json`` (RFC 9457) with the schema's codes.
"""
