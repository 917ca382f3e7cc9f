"""Other people's servers, by httpx: sources, webhooks, keys of identity providers."""
