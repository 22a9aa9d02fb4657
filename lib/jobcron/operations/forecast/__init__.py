"""What would happen: the plan of a section's next run, and a trial of one job."""
