"""One session on the server: its calls, the threads that run them, and their answers."""
