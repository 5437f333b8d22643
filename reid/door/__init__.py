"""Where a config comes in: the command line, its errors, and the objects it names. Below, nothing knows of configs."""
