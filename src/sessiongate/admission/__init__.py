"""Who may open a session, and what a limit does: decided for logins alone."""
