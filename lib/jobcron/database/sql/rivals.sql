-- Do jobs of other types than :type wait in channels that keep an order, and that the transaction has locked? Only reads.
WITH RECURSIVE @rivals
SELECT EXISTS (SELECT 1 FROM rival JOIN jobcron_channel AS channel ON channel.name = rival.name WHERE @is_held) AS has_rivals
