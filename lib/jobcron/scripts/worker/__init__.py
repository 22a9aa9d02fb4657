"""The worker: a process that stays, and runs sections as soon as they have work.

`script` is the command. The supervisor (`_supervisor`) asks the database which sections have work (`_lookout`),
and starts processes that run them (`_processes`), up to a limit. Such a process (`_child`) performs an ordinary
run of one section, under the section's lock. When nothing is ready it stays for a while, and waits for the
supervisor's word.
"""
