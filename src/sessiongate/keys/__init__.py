"""Keys, as users pass them: checked once, when a manager is made. No request comes here."""
