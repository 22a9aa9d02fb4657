"""The faults that `jobcron.operations.doctor` finds, by where they are found."""
