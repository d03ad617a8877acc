"""Tokens for machines: a user's long-lived API tokens."""
