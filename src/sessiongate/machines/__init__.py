"""Tokens for machines: API tokens of users, and short ones that tell other services who it is."""
