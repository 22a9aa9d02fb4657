"""What cron starts: options, lock, control file, the run of a section.

Doors: `cron_script.CronScript` and `job_script.JobCronScript`; `groups.ProcessJobSources` runs the sections of
a group in child processes; `prune.PruneJobs` removes what is old. One run of one section is in `_section_run`.
"""
