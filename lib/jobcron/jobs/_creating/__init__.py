"""Creation of jobs: the one for a target or key (`acquire`), and many at once (`bulk`)."""
