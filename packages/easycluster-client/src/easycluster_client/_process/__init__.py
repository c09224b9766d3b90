"""The master process itself: its end, its forks, its children."""
