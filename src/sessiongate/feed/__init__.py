"""News of ended and renewed sessions: sockets that close, checks without a trip."""
