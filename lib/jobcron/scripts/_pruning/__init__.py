"""What `prune` does: remove old rows in bounded batches, and keep the newest job about each target."""
