"""Tokens for machines, not browsers: made once the middleware has said who the user is."""
