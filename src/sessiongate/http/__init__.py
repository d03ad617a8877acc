"""What HTTP says, without any server: bytes in, decisions out. No I/O in this folder."""
