-- The jobs that keep their turn in sequential channels, as claims see them. Only reads.
WITH RECURSIVE @room
SELECT turn.id, turn.name, turn.channel_key FROM turn ORDER BY turn.name, turn.id
