"""HTTP without any server: header bytes in, decisions out. No I/O in this folder."""
