"""The stores that come with the server, one module each."""
