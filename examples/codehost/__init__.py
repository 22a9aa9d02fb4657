"""A small code hosting site, as an example of an application that gives its slow work to jobcron.

People propose to merge commits; the site shows what a merge would change, mails the reviewers and knows which
repositories are hot. In the order in which to read:

    model.py       the site's own tables: nothing in them knows of jobs
    interfaces.py  what the site promises of its job sources
    jobs.py        the jobs that are classes: two family tables, two small classes
    review.py      a job that is a function, tried again while the mail server is away
    history.py     a job of three tasks, which are functions
    git.py         running git
    __main__.py    the demonstration: ``python -m codehost``, with demo.py, proposals.py, sample.py and summary.py

The configuration says ``application: codehost``, so importing this package must make the job classes known.
"""

from codehost import history as history
from codehost import jobs as jobs
from codehost import review as review
