"""What concerns more than one session: those of a user, and all. No plain request comes here."""
