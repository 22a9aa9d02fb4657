"""The application of Launchpad's wiki page on its Job System, in Python 3: foos, and a job that frozzles them.

Its files are those of the page: interfaces/foojob.py, model/foojob.py, model/dofoojob.py, cronscripts/do-foo.py.
Importing the package makes the job class known, which Launchpad did by ZCML.
"""

from seedapp.model import dofoojob as dofoojob
