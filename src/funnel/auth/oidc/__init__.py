"""OpenID Connect: bearer tokens of a provider, and the login of browsers at it."""
