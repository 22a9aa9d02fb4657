"""What runs tell people besides their own failures: silent sections, and mail that could not be sent."""
