"""What all tests share."""

pytest_plugins = ["helpers.system_needs"]
