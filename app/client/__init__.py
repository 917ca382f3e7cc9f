"""The command's client side: talks GraphQL to a running service, draws what it hears."""
