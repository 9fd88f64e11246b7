"""What goes over the wire, as pure functions: no socket, no clock, no environment, shared by client and server."""
