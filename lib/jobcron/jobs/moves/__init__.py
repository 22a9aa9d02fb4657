"""Moves of many jobs at once, by an operator: each is written in their histories."""
