"""This process, the master: its end, its forks, its children."""
