"""Objects that stay on the server, and the proxies that stand for them."""
