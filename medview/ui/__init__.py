"""Qt widgets: they show state and call the workstation; they hold none."""
