"""Google Storage, over its JSON interface."""
