"""Subcommands for people only: what completes command lines, and the dashboard."""
