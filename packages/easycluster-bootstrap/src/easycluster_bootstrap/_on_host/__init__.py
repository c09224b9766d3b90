"""What runs on the host: nothing here is imported on a master."""
