"""Subcommands for people only: the completion of command lines, and the dashboard."""
