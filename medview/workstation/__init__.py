"""The workstation without a screen: open cases, jobs, edits, teaching."""
