"""The scripts that cron starts: options, lock, control file, the run of a section.

Entry points: `cron_script.CronScript` and `job_script.JobCronScript`; `groups.ProcessJobSources` runs the sections
of a group in child processes; `prune.PruneJobs` deletes old rows and reports; `order` describes one run, `options`
parses arguments, `control` reads the control file, `outage` the record of an outage, and `lock_holder` tells who
holds a lock. Inside, `_section_run` runs one section, and `_endings` turn an error into a message and an exit
status.
"""
