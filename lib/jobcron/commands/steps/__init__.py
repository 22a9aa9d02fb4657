"""The subcommands of jobs of several tasks, by the names that django-db-queue has for them."""
