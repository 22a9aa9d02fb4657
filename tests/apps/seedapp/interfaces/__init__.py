"""What the application promises."""
