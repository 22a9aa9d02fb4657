"""Other queues, measured beside jobcron: each in an environment of its own, by the settings that suit it best."""
