"""An open connection: bytes, frames and messages, and which of them may be sent when."""
