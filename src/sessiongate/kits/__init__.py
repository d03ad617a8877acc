"""What the kits of the frameworks share: guards, and the answers to who is not let in."""
