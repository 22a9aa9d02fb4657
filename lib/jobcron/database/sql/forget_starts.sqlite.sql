-- Delete the starts that are past the longest period of any channel.
DELETE FROM jobcron_start
WHERE at <= (SELECT min(@after(-channel.period)) FROM jobcron_channel AS channel)
