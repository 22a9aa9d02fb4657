"""The application's tables and jobs."""
