"""What keeps a job or a section from running: its row, a lock of the row, the section itself."""
