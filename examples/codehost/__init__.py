"""A small code hosting site, as an example of an application that gives its slow work to jobcron.

People propose to merge commits. The site shows what a merge would change, mails the reviewers, and calculates
which repositories are hot. Read the modules in this order:

    model.py       the site's own tables: nothing in them knows of jobs
    interfaces.py  what the site promises of its job sources
    jobs.py        jobs that are classes: two family tables, two small classes
    review.py      a job that is a function, retried while the mail server is unavailable
    history.py     a job of three tasks, each a function
    git.py         running git
    __main__.py    the demonstration: ``python -m codehost``, with demo.py, proposals.py, sample.py and summary.py

The configuration says ``application: codehost``, so importing this package must make the job classes known.
"""

from codehost import history as history
from codehost import jobs as jobs
from codehost import review as review
