"""Subcommands that limit what starts: pauses, and channels."""
