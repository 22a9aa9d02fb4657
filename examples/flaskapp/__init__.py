"""An order desk, as an example of a Flask application that gives its slow work to jobcron.

Customers place orders. The desk writes an invoice for each, mails letters, and calculates each night the value of
every customer's orders of the last year. Read the modules in this order:

    models.py     the desk's tables, including the family table of its jobs
    jobs.py       the jobs: an invoice, a letter, the nightly recalculation
    views.py      the views that create jobs, and the one that shows their state
    app.py        the application factory, and the desk's commands
    worker.py     the context of each job when cron runs it; the web never imports it
    turnover.py   the recalculation itself, which knows nothing of jobs
    instance/     the configuration
    tests/        its tests, with jobcron's test kit
"""

from flaskapp.app import create_app as create_app
