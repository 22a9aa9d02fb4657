"""The objects of claimed jobs: loaded for a batch at once, and then each job's own."""
