"""GraphQL over WebSocket: ``graphql-transport-ws``, and no other subprotocol.

To the letter of PROTOCOL.md of the npm package graphql-ws. What that leaves open is decided here:

- Codes of its own: 1001 at shutdown, 1008 for messages by the thousand, 1009 for one that is too
  large, 1013 where it cannot be known now who calls.
- An operation beyond 100 live ones, or beyond 20 a second after the first 200, gets an ``error``
  message with a code; the connection lives on.
- A credential is taken from ``connection_init`` (``Authorization`` or ``token``), else from the
  header ``Authorization``. One that is nobody's, or ends later, closes with 4403.
"""
