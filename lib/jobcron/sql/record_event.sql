INSERT INTO jobcron_event (job, at, actor, kind, detail, oops_id, lease_token)
VALUES (:job, @now, :actor, :kind, :detail, :oops_id, :token)
