"""An order desk, as an example of a Flask application that gives its slow work to jobcron.

Customers place orders; the desk writes an invoice for each, mails letters, and works out each night what every
customer's orders of the last year were worth. In the order in which to read:

    models.py     the desk's tables, the family table of its jobs among them
    jobs.py       the jobs: an invoice, a letter, the nightly recalculation
    views.py      the requests that make jobs, and the one that shows what became of them
    app.py        the application factory, and the desk's own commands
    worker.py     what is around each job when cron runs it; the web never imports it
    turnover.py   the recalculation itself, which knows nothing of jobs
    instance/     the configuration
    tests/        its tests, with jobcron's test kit
"""

from flaskapp.app import create_app as create_app
