"""What people are told: not too often, without secrets, and at the line that can mend it."""
