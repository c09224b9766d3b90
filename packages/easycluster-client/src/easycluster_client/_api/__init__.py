"""The objects that scripts hold: clients, remote names, views."""
