"""An open connection: how bytes become frames and messages, and which message may be sent when."""
