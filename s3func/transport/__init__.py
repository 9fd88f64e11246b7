"""How the bytes move: one send loop, a retry policy as a value, and the connection pool."""
