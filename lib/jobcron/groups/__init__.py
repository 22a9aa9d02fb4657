"""Several sections in one script (LP-17): `script` chooses them, `children` runs each as a `member`."""
